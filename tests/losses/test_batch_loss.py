"""What losses that compare samples share; `tests/scale` shows them on several replicas."""

import keras
import numpy as np
import pytest

from keras_kd import losses

pytestmark = [pytest.mark.core, pytest.mark.alike]

MAKERS = {
    "rkd": losses.RKDLoss,
    "sp": losses.SPLoss,
    "cc": lambda **given: losses.CCLoss(dim=None, **given),
    "pkt": losses.PKTLoss,
    "crd": lambda **given: losses.CRDLoss(8, negatives=4, dim=3, **given),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_whether_samples_are_gathered_is_kept_with_the_loss(make):
    for gather in (None, False, True):
        config = keras.saving.serialize_keras_object(make(gather=gather))
        assert keras.saving.deserialize_keras_object(config).gather is gather
    assert make().gather is None


def test_a_file_from_before_there_was_gather_still_loads():
    config = keras.saving.serialize_keras_object(losses.RKDLoss())
    del config["config"]["gather"]
    assert keras.saving.deserialize_keras_object(config).gather is None


def test_where_there_are_no_replicas_there_is_nothing_to_gather():
    teacher, student = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    values = [float(losses.RKDLoss(gather=gather)(teacher, student)) for gather in (False, True)]
    assert values[0] == values[1] > 0.0


@pytest.mark.parametrize("gather", [1, "yes"])
def test_gather_is_a_flag(gather):
    with pytest.raises(
        ValueError, match=r"`gather` must be True, False or None. Received: gather="
    ):
        losses.SPLoss(gather=gather)


def test_losses_of_single_samples_do_not_take_it():
    with pytest.raises(TypeError, match="gather"):
        losses.FitNetLoss(gather=True)
