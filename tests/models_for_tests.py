"""Tiny nets, data and comparisons that the tests share."""

import keras
import numpy as np
import pytest

from keras_kd import Distiller

FEATURES, CLASSES = 4, 3

# TensorFlow takes longer to trace a step than to run it. That both train alike is shown where the
# step's ways to run are compared, and what only a compiled step shows takes COMPILED.
EAGER = {"run_eagerly": keras.backend.backend() == "tensorflow"}
COMPILED = {"run_eagerly": False}


def net(width=5, seed=0, classes=CLASSES, activation=None, features=FEATURES, **dense):
    """A perceptron with layers `hidden` and `scores`."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((features,))
    hidden = keras.layers.Dense(width, "tanh", name="hidden", **dense)(inputs)
    scores = keras.layers.Dense(classes, activation, name="scores", **dense)(hidden)
    return keras.Model(inputs, scores)


def linear(kernel, bias=None, **kwargs):
    """One Dense layer with the given weights."""
    kernel = np.asarray(kernel, "float32")
    model = keras.Sequential([keras.Input((kernel.shape[0],))])
    model.add(keras.layers.Dense(kernel.shape[1], name="scores", **kwargs))
    model.set_weights([kernel, np.zeros(kernel.shape[1]) if bias is None else np.asarray(bias)])
    return model


def examples(count=12, features=FEATURES, classes=CLASSES, seed=0):
    """Inputs and integer labels."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, features)).astype("float32")
    return x, rng.integers(0, classes, count).astype("int32")


def cross_entropy(**kwargs):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, **kwargs)


def sgd(rate=0.1):
    return keras.optimizers.SGD(rate)


def distiller(student, teacher=None, compiled=None, **kwargs):
    """A Distiller, compiled with SGD and cross-entropy unless `compiled` says otherwise."""
    model = Distiller(student, teacher, **kwargs)
    compiled = compiled or {}
    eager = {} if "jit_compile" in compiled or "steps_per_execution" in compiled else EAGER
    model.compile(**{"optimizer": sgd(), "loss": cross_entropy(), **eager, **compiled})
    return model


def inferred(model, x):
    """What a model gives in inference mode, as arrays; `predict` would compile another function."""
    given = model(keras.tree.map_structure(keras.ops.convert_to_tensor, x), training=False)
    return keras.tree.map_structure(keras.ops.convert_to_numpy, given)


def numbers(model):
    """All weights of a model as one list of arrays."""
    return [np.asarray(weight, "float64") for weight in model.get_weights()]


def assert_same_weights(one, other, atol=1e-6):
    assert len(one.weights) == len(other.weights)
    for weight, a, b in zip(one.weights, numbers(one), numbers(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol, err_msg=weight.path)


def largest_move(model, before):
    """How far the weights went from the list `before`."""
    return max(np.abs(a - b).max() for a, b in zip(numbers(model), before, strict=True))


def softmax(z):
    z = np.asarray(z, "float64")
    z = z - z.max(-1, keepdims=True)
    return np.exp(z) / np.exp(z).sum(-1, keepdims=True)


def log_softmax(z):
    z = np.asarray(z, "float64")
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def kd(teacher, student, temperature):
    """T^2 KL of the softened distributions of each sample, in float64."""
    p, q = (
        log_softmax(np.asarray(teacher) / temperature),
        log_softmax(np.asarray(student) / temperature),
    )
    return temperature**2 * (np.exp(p) * (p - q)).sum(-1)


@keras.saving.register_keras_serializable(package="tests")
class Counter(keras.layers.Layer):
    """Hands its input on and counts its calls at run time."""

    def build(self, shape):
        self.count = self.add_weight(
            shape=(), initializer="zeros", dtype="int32", trainable=False, name="count"
        )

    def call(self, x):
        self.count.assign_add(1)
        return x

    @property
    def calls(self):
        return int(keras.ops.convert_to_numpy(self.count))


ONE = np.ones((1, 1), "float32")


def logs(model, x, y=None, **kwargs):
    return model.evaluate(x, y, return_dict=True, verbose=0, **kwargs)


def scores(*rows):
    """A model that answers the input 1 with the given logits."""
    return linear(np.asarray(rows))


def normalized_net(seed=0, width=5):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((4,)),
            Counter(name="counter"),
            keras.layers.Dense(width, name="hidden"),
            keras.layers.BatchNormalization(momentum=0.9, name="norm"),
            keras.layers.Dropout(0.5, seed=3, name="drop"),
            keras.layers.Dense(3, name="scores"),
        ]
    )


def heads(names, seed=0, width=3):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    return keras.Model(
        inputs, {name: keras.layers.Dense(width, name=name)(inputs) for name in names}
    )


def message(exception, *args, **kwargs):
    """The text of the error that making the Distiller raises."""
    with pytest.raises(exception) as error:
        Distiller(*args, **kwargs)
    text = str(error.value)
    assert "Received: " in text
    return text
