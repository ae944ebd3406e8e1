"""What is said where an engine is not installed."""

import sys

import jobs
import pytest

from keras_kd import scale


@pytest.mark.parametrize(("package", "extra"), [("apache_beam", "beam"), ("ray", "ray")])
def test_a_missing_engine_names_its_extra(tmp_path, monkeypatch, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    job = scale.LabelJob(tmp_path, jobs.teacher, jobs.data, count=2)
    with pytest.raises(ImportError, match=rf"`pip install 'keras_kd\[{extra}\]'`"):
        if extra == "ray":
            scale.label_on_ray(job, actors=1)
        else:
            scale.LabelWithTeacher(job)
