"""Teachers and comparisons for the tests of the cache."""

import keras
import numpy as np
from keras import ops


class Lines:
    """A teacher that is a function, and counts the examples that it is asked about."""

    def __init__(self, shift=0.0):
        self.shift, self.asked = shift, 0

    def __call__(self, x):
        self.asked += len(x)
        return lines(x) + self.shift


def lines(x):
    """What `Lines` answers: three numbers for each example `(n, ...)`."""
    x = np.asarray(x, "float32").reshape(len(x), -1)
    return np.stack([x.sum(-1), x[:, 0] - 3.0, 2.0 - x[:, -1]], axis=-1)


def numbers(count, start=0):
    """Examples `(count, 1)` that are their own positions."""
    return np.arange(start, start + count, dtype="float32")[:, None]


def read(dataset):
    """All elements, in their order, as one nest of arrays."""
    batches = list(dataset.batch(1024).as_numpy_iterator())
    return keras.tree.map_structure(lambda *parts: np.concatenate(parts), *batches)


def outputs(dataset):
    """The teacher's outputs of all elements."""
    elements = read(dataset)
    return (elements[0] if isinstance(elements, tuple) else elements)["teacher_outputs"]


def answers_are_read_from_files(monkeypatch):
    """Makes what `label` returns read the answers in every pass, as it does where they are many."""
    monkeypatch.setattr("keras_kd.cache.replay._HELD", -1)


def predicted(model, x):
    """What a model answers, as a nest of arrays."""
    given = model(keras.tree.map_structure(ops.convert_to_tensor, x), training=False)
    return keras.tree.map_structure(ops.convert_to_numpy, given)


def assert_labelled(dataset, x, atol=1e-6):
    """Asserts that `Lines` labelled every example of `x`, in their order."""
    found = read(dataset)
    found = found[0] if isinstance(found, tuple) else found
    np.testing.assert_array_equal(found["inputs"], x)
    np.testing.assert_allclose(found["teacher_outputs"], lines(x), rtol=0, atol=atol)
