import keras
import numpy as np
import pytest
from keras import layers
from models_for_tests import EAGER, inferred

import keras_kd
from keras_kd.models import resnet, wide_resnet
from keras_kd.teachers import fold_batch_normalization

pytestmark = pytest.mark.core


def with_statistics(model, seed=0):
    """Gives every BatchNormalization statistics as training would, not zeros and ones."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.weights])
    return model


def norms(model):
    return [x.name for x in model.layers if isinstance(x, layers.BatchNormalization)]


def assert_same_outputs(model, folded):
    x = np.random.default_rng(1).normal(size=(4, *model.input_shape[1:])).astype("float32")
    expected = inferred(model, x)
    # A sum of some hundred products in float32, in another order.
    np.testing.assert_allclose(inferred(folded, x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.alike
@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv1D(5, 3),
        layers.Conv2D(5, 3, strides=2, use_bias=False),
        layers.Conv3D(3, 2, padding="same"),
        layers.DepthwiseConv2D(3, depth_multiplier=2),
        layers.Dense(6),
    ],
    ids=lambda layer: type(layer).__name__,
)
@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False, "epsilon": 0.1}])
def test_the_outputs_stay(layer, options):
    shape = {"Conv1D": (7, 3), "Conv3D": (4, 4, 4, 2), "Dense": (5,)}
    inputs = keras.Input(shape.get(type(layer).__name__, (7, 7, 3)))
    layer = type(layer).from_config(layer.get_config())
    norm = layers.BatchNormalization(**options)
    model = with_statistics(keras.Model(inputs, layers.Activation("relu")(norm(layer(inputs)))))
    folded = fold_batch_normalization(model)
    assert norms(folded) == []
    assert folded.count_params() < model.count_params()
    assert_same_outputs(model, folded)


@pytest.mark.alike
def test_a_residual_net_is_folded_whole_and_the_model_stays():
    model = with_statistics(resnet((16, 16, 3), 10, depth=8))
    before = [weight.copy() for weight in model.get_weights()]
    folded = fold_batch_normalization(model)
    assert norms(folded) == []
    assert [layer.name for layer in folded.layers] == [layer.name for layer in model.layers]
    assert_same_outputs(model, folded)
    for weight, was in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, was)


@pytest.mark.alike
def test_what_does_not_follow_a_linear_layer_stays():
    model = with_statistics(wide_resnet((16, 16, 3), 10, depth=10, widen=1))
    folded = fold_batch_normalization(model)
    assert 0 < len(norms(folded)) < len(norms(model))  # pre-activation nets normalise sums
    assert_same_outputs(model, folded)


@pytest.mark.alike
def test_a_convolution_that_is_read_elsewhere_keeps_its_value():
    inputs = keras.Input((6, 6, 2))
    read_twice = layers.Conv2D(3, 1, name="read_twice")(inputs)
    normalised = layers.BatchNormalization()(read_twice)
    active = layers.BatchNormalization()(layers.Conv2D(3, 1, activation="relu")(normalised))
    output = layers.Conv2D(3, 1, name="output")(active)
    after = layers.BatchNormalization()(output)
    model = keras.Model(inputs, layers.Add()([read_twice, after]))
    model = with_statistics(keras.Model(inputs, [model.output, output]))
    assert fold_batch_normalization(model) is model


def test_a_sequential_model_is_folded():
    net = [keras.Input((4,)), layers.Dense(3), layers.BatchNormalization(), layers.Dense(2)]
    model = with_statistics(keras.Sequential(net))
    folded = fold_batch_normalization(model)
    assert norms(folded) == []
    assert_same_outputs(model, folded)


@pytest.mark.alike
def test_it_teaches_what_the_teacher_teaches():
    teacher = with_statistics(resnet((8, 8, 3), 3, depth=8, width=4, name="teacher"))
    x = np.random.default_rng(0).normal(size=(16, 8, 8, 3)).astype("float32")
    y = np.arange(16) % 3
    losses = []
    for model in (teacher, fold_batch_normalization(teacher)):
        keras.utils.set_random_seed(0)
        student = keras.Sequential(
            [keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(3)], name="student"
        )
        distilling = keras_kd.Distiller(student, model)
        distilling.compile(
            keras.optimizers.SGD(0.01),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            **EAGER,
        )
        losses.append(distilling.fit(x, y, batch_size=8, epochs=2, verbose=0).history["kd_loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)


@pytest.mark.alike
def test_a_folded_model_is_saved_and_loaded(tmp_path):
    folded = fold_batch_normalization(with_statistics(resnet((8, 8, 3), 3, depth=8, width=4)))
    folded.save(tmp_path / "folded.keras")
    assert_same_outputs(folded, keras.saving.load_model(tmp_path / "folded.keras"))


@pytest.mark.alike
def test_a_subclassed_model_is_refused():
    class Net(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(TypeError, match=r"Functional and Sequential.*Received: model 'net'"):
        fold_batch_normalization(Net(name="net"))
