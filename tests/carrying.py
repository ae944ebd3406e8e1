"""Small nets whose teacher's values travel with the data."""

import dataclasses

import keras
import numpy as np
from keras import ops
from models_for_tests import EAGER, cross_entropy
from nets_for_losses import attending, digits, student_net, teacher_net

from keras_kd import Distiller
from keras_kd.features import Tap
from keras_kd.features.layer_tree import find_layer
from keras_kd.features.recording import Recording, watched

COUNT, BATCH = 16, 8


def nets(kind="convolutional"):
    """A student and its teacher, the same at every call."""
    if kind == "attending":
        return attending(6, 2, 3, "student"), attending(8, 2, 4, "teacher")
    return student_net(), teacher_net()


def taps_of(loss):
    return [Tap.of(tap, loss.side) for tap in loss.layers.values()]


def carried(teacher, taps, count=COUNT, index=True):
    """`x` with the teacher's answers, and labels, of NumPy arrays."""
    x, y = digits(count)
    layers = {tap: find_layer(teacher, tap.layer, "teacher") for tap in taps}
    with watched([], layers), Recording() as recording:
        outputs = teacher(ops.convert_to_tensor(x), training=False)
    values = {tap.key: recording.value(layer, tap) for tap, layer in layers.items()}
    given = {"teacher_outputs": outputs, "teacher_features": values}
    given = keras.tree.map_structure(lambda z: np.asarray(ops.convert_to_numpy(z)), given)
    return {"inputs": x, **given, **({"index": np.arange(count)} if index else {})}, y


def with_shapes(loss, x):
    """The loss with the shapes that `x` carries written into its taps."""
    layers = {}
    for ours, tap in zip(loss.layers, taps_of(loss), strict=True):
        shape = keras.tree.map_structure(
            lambda z: (None, *z.shape[1:]), x["teacher_features"][tap.key]
        )
        layers[ours] = dataclasses.replace(tap, shape=shape)
    return loss.with_layers(layers)


def make(student, teacher, loss, compiled=True, **kwargs):
    keras.utils.set_random_seed(0)
    losses = loss if isinstance(loss, list) else [loss] if loss is not None else []
    distiller = Distiller(student, teacher, alpha=0.3, feature_losses=losses, **kwargs)
    if compiled:
        distiller.compile(keras.optimizers.SGD(0.02, momentum=0.9), cross_entropy(), **EAGER)
    return distiller


def fit(distiller, x, y=None, epochs=2, **kwargs):
    arrays = {"batch_size": BATCH} if isinstance(x, dict) else {}
    kwargs = {"shuffle": False, "verbose": 0, **arrays, **kwargs}
    return distiller.fit(x, y, epochs=epochs, **kwargs).history


def assert_same_run(one, other, history, other_history, atol=1e-6):
    """Asserts that two Distillers, one with a teacher, went the same way."""
    for a, b in zip(one.trainable_variables, other.trainable_variables, strict=True):
        a, b = ops.convert_to_numpy(a), ops.convert_to_numpy(b)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=atol)
    states = [
        [ops.convert_to_numpy(v) for term in model.feature_terms for v in term.weights]
        for model in (one, other)
    ]
    for a, b in zip(*states, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=atol)
    assert history.keys() == other_history.keys()
    for name, values in history.items():
        np.testing.assert_allclose(values, other_history[name], rtol=1e-5, atol=atol, err_msg=name)
