import numpy as np
import pytest

from keras_kd.export import ExportMismatchError
from keras_kd.export.export_format import Runtime
from keras_kd.export.student_inputs import StudentInputs
from keras_kd.export.verification import Verification, by_name

pytestmark = pytest.mark.core


def test_outputs_are_named_as_in_a_signature():
    one = np.ones(1)
    assert list(by_name(one)) == ["output_0"]
    assert list(by_name([one, (one, one)])) == ["output_0", "output_1", "output_2"]
    assert list(by_name({"b": one, "a": [one, one]})) == ["b", "a_0", "a_1"]


def test_a_runtime_for_one_example_is_fed_one_by_one(classifier, images):
    def run(named):
        assert len(named["image"]) == 1
        return classifier(named["image"])

    verification = Verification(
        classifier, StudentInputs(classifier), Runtime(run, batch_size=1), [(*images, None)]
    )
    assert verification.examples == 50
    assert verification.outputs["output_0"].largest < 1e-5
    assert verification.metric()[0] == "accuracy"


@pytest.mark.parametrize("found", [{"other": np.zeros((50, 4))}, np.zeros((50, 5))])
def test_outputs_of_another_name_or_shape_are_a_mismatch(found, classifier, images):
    with pytest.raises(ExportMismatchError, match=r"'output_0': \(50, 4\)"):
        Verification(
            classifier, StudentInputs(classifier), Runtime(lambda named: found), [(*images, None)]
        )


def test_an_export_that_does_not_run_is_told_as_such(classifier, images):
    def run(named):
        raise RuntimeError("no kernel")

    with pytest.raises(ExportMismatchError, match=r"does not run in its own runtime: no kernel"):
        Verification(classifier, StudentInputs(classifier), Runtime(run), [(*images, None)])
