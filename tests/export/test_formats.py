import pathlib

import pytest

from keras_kd.export.formats import FORMATS, find_format

pytestmark = pytest.mark.core


@pytest.mark.parametrize(
    ("path", "name"),
    [("s", "saved_model"), ("s.tflite", "tflite"), ("s.keras", "keras"), ("s.onnx", "onnx")],
)
def test_the_suffix_tells_the_format(path, name):
    assert find_format(pathlib.Path("runs.v1", path), None).name == name


@pytest.mark.parametrize(("path", "name"), [("s.h5", None), ("s.keras", "h5")])
def test_an_unknown_format_lists_all(path, name):
    with pytest.raises(ValueError, match="Formats are") as caught:
        find_format(pathlib.Path(path), name)
    assert all(repr(known.name) in str(caught.value) for known in FORMATS)
    assert f"path={path!r}, format={name!r}" in str(caught.value)
