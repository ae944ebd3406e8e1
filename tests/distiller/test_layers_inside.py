"""Layers are found by name and by path in models of every kind, and read as they ran."""

import keras
import numpy as np
import pytest
from keras import layers
from models_for_tests import (
    distiller,
    examples,
    net,
)

from keras_kd import Distiller
from keras_kd.features import Tap
from keras_kd.losses import FitNetLoss, RegressionLoss

pytestmark = pytest.mark.core


def values_read(model, tap, x):
    """What the Distiller reads of a layer: a loss against a teacher that says 0 squares it."""
    zero = keras.Sequential([keras.Input(x.shape[1:]), Zeros(name="zeros"), layers.Dense(3)])
    read = []

    class Read(RegressionLoss):
        def call(self, teacher_value, student_value):
            read.append(student_value)
            return super().call(teacher_value, student_value)

    found = Distiller(
        model,
        zero,
        kd_loss=None,
        feature_losses=[Read(layers={tap: "zeros"}, name="read")],
        validate_with_teacher=True,
    )
    found.compile(run_eagerly=True)
    found.test_on_batch(x)
    return keras.ops.convert_to_numpy(read[-1])


class Zeros(layers.Layer):
    """Zeros of the width that taps of these tests have."""

    def call(self, x):
        return keras.ops.zeros_like(x[:, :1]) * keras.ops.ones((1, 5))

    def compute_output_shape(self, shape):
        return (shape[0], 5)


def backbone():
    inputs = keras.Input((4,))
    stage1 = layers.Dense(5, "tanh", name="stage1")(inputs)
    return keras.Model(inputs, layers.Dense(5, "tanh", name="stage2")(stage1), name="backbone")


def functional():
    inputs = keras.Input((4,))
    hidden = backbone()(inputs)
    return keras.Model(inputs, layers.Dense(3, name="scores")(hidden))


def sequential():
    return keras.Sequential([keras.Input((4,)), backbone(), layers.Dense(3, name="scores")])


def unbuilt_sequential():
    model = keras.Sequential(
        [
            keras.Sequential(
                [layers.Dense(5, "tanh", name="stage1"), layers.Dense(5, "tanh", name="stage2")],
                name="backbone",
            ),
            layers.Dense(3, name="scores"),
        ]
    )
    model(np.zeros((1, 4), "float32"))
    return model


class Backbone(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.stages = [layers.Dense(5, "tanh", name=f"stage{i + 1}") for i in range(2)]

    def build(self, shape):
        for stage in self.stages:
            stage.build(shape)
            shape = (shape[0], 5)

    def call(self, x):
        for stage in self.stages:
            x = stage(x)
        return x


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.backbone = Backbone(name="backbone")
        self.scores = layers.Dense(3, name="scores")

    def call(self, x, training=None, unused=None):
        return self.scores(self.backbone(x))


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 4), "float32"))
    return model


@pytest.mark.alike
@pytest.mark.parametrize("make", [functional, sequential, unbuilt_sequential, subclassed])
@pytest.mark.parametrize("tap", ["stage2", "backbone/stage2", "backbone"])
def test_layers_of_every_kind_of_model_are_read_by_name_and_by_path(make, tap):
    keras.utils.set_random_seed(0)
    x, _ = examples(6)
    model = make()
    inner = model.layers[1 if make is functional else 0]
    kernels = [
        weight.numpy() if hasattr(weight, "numpy") else np.asarray(weight)
        for weight in inner.weights
    ]
    by_hand = np.tanh(np.tanh(x @ kernels[0] + kernels[1]) @ kernels[2] + kernels[3])
    np.testing.assert_allclose(values_read(model, tap, x), by_hand, atol=1e-5)


@pytest.mark.alike
def test_values_read_are_exactly_those_of_a_model_of_that_layer():
    x, _ = examples(6)
    model = net()
    hidden = model.get_layer("hidden")
    expected = keras.Model(model.input, hidden.output)(x)
    np.testing.assert_array_equal(
        values_read(model, "hidden", x), keras.ops.convert_to_numpy(expected)
    )


@pytest.mark.parametrize("make", [functional, subclassed])
def test_the_input_of_a_layer_is_read(make):
    keras.utils.set_random_seed(0)
    x, _ = examples(6)
    model = make()
    np.testing.assert_array_equal(
        values_read(model, Tap("scores", side="input"), x), values_read(model, "backbone", x)
    )


class Doubling(keras.Model):
    """Runs one Dense layer twice."""

    def __init__(self):
        super().__init__()
        self.shared = layers.Dense(5, "tanh", name="shared")
        self.widen = layers.Dense(5, name="widen")
        self.scores = layers.Dense(3, name="scores")

    def call(self, x):
        return self.scores(self.shared(self.shared(self.widen(x))))


def doubling(kind):
    keras.utils.set_random_seed(0)
    if kind == "subclassed":
        model = Doubling()
        model(np.zeros((1, 4), "float32"))
        return model
    shared, inputs = layers.Dense(5, "tanh", name="shared"), keras.Input((4,))
    hidden = shared(shared(layers.Dense(5, name="widen")(inputs)))
    return keras.Model(inputs, layers.Dense(3, name="scores")(hidden))


@pytest.mark.alike
@pytest.mark.parametrize("kind", ["functional", "subclassed"])
def test_a_layer_called_twice_is_read_at_the_call_that_is_named(kind):
    x, _ = examples(6)
    model = doubling(kind)
    kernel, bias = (keras.ops.convert_to_numpy(v) for v in model.get_layer("shared").weights)
    widened = values_read(model, "widen", x)
    once = np.tanh(widened @ kernel + bias)
    twice = np.tanh(once @ kernel + bias)
    np.testing.assert_allclose(values_read(model, Tap("shared", call=0), x), once, atol=1e-5)
    np.testing.assert_allclose(values_read(model, Tap("shared", call=1), x), twice, atol=1e-5)
    np.testing.assert_allclose(
        values_read(model, Tap("shared", side="input", call=1), x), once, atol=1e-5
    )


@pytest.mark.alike
@pytest.mark.parametrize("kind", ["functional", "subclassed"])
def test_a_layer_called_twice_must_say_which_call(kind):
    with pytest.raises(ValueError, match=r"2 times.*call=0.*call=1"):
        Distiller(doubling(kind), net(), feature_losses=[FitNetLoss(layers={"shared": "hidden"})])
    tap = Tap("shared", call=2)
    with pytest.raises(ValueError, match=r"2 times.*available: call=0 to call=1"):
        Distiller(doubling(kind), net(), feature_losses=[FitNetLoss(layers={tap: "hidden"})])


@pytest.mark.alike
def test_a_name_that_several_layers_have_must_be_a_path():
    inputs = keras.Input((4,))
    one, other = backbone(), backbone()
    other.name = "second"
    model = keras.Model(inputs, layers.Dense(3)(other(layers.Dense(4)(one(inputs)))))
    with pytest.raises(ValueError, match=r"give a path.*backbone/stage1.*second/stage1"):
        Distiller(model, net(), feature_losses=[FitNetLoss(layers={"stage1": "hidden"})])
    Distiller(model, net(), feature_losses=[FitNetLoss(layers={"second/stage1": "hidden"})])


@pytest.mark.alike
def test_the_teachers_layers_may_be_in_a_nested_model_too():
    x, y = examples(8)
    model = distiller(
        net(),
        functional(),
        feature_losses=[
            FitNetLoss(layers={"hidden": "backbone/stage1", Tap("scores", side="input"): "stage2"})
        ],
    )
    assert model.fit(x, y, verbose=0).history["fit_net_loss"][0] > 0
