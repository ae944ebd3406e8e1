import numpy as np
import pytest
import tensorflow as tf

from keras_kd.data import AudioData


def made():
    split = tf.data.Dataset.from_tensor_slices((np.zeros((3, 5), "float32"), np.arange(3)))
    return AudioData("made", ("one", "two", "three"), 8000, 5, split, split.take(1), split.take(2))


def test_arrays_hold_a_whole_split():
    samples, labels = made().arrays("test")
    assert samples.shape == (2, 5)
    assert labels.tolist() == [0, 1]
    assert made().num_classes == 3


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match=r"Received: split='dev'"):
        made().arrays("dev")
