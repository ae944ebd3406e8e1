"""One small training that tests compare with others of the same models and data."""

import functools

import keras
import numpy as np
import pytest
from models_for_tests import (
    assert_same_weights,
    distiller,
    examples,
    net,
)

from keras_kd.losses import FitNetLoss

core = pytest.mark.core
needs_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="of the TensorFlow backend"
)
HINT = {"hidden": "hidden"}


def trained(data, *, epochs=2, compiled=None, make=net, alpha=0.3, **kwargs):
    """A student after training on `data`, with the history."""
    student = make()
    hint = FitNetLoss(layers=HINT, weight=0.5)
    model = distiller(
        student, net(9, seed=1), alpha=alpha, feature_losses=[hint], compiled=compiled
    )
    x, arguments = (data[0], {"y": data[1]}) if isinstance(data, tuple) else (data, {})
    history = model.fit(
        x, epochs=epochs, **arguments, **{"shuffle": False, "verbose": 0, **kwargs}
    ).history
    return student, history


@functools.cache
def reference():
    """What arrays train: twelve examples in batches of five, for two epochs."""
    return trained(examples(12), batch_size=5)


def assert_same_training(one, other, atol=1e-6, rtol=1e-5):
    assert_same_weights(one[0], other[0], atol)
    assert set(one[1]) == set(other[1])
    for name, values in one[1].items():
        np.testing.assert_allclose(values, other[1][name], rtol=rtol, atol=atol, err_msg=name)


class Batches(keras.utils.PyDataset):
    def __init__(self, *arrays, size=5):
        super().__init__()
        self.arrays, self.size = arrays, size

    def __len__(self):
        return int(np.ceil(len(self.arrays[0]) / self.size))

    def __getitem__(self, index):
        part = slice(index * self.size, (index + 1) * self.size)
        return tuple(array[part] for array in self.arrays)
