import keras
import numpy as np
import pytest
from keras import ops
from models_for_tests import examples, linear, net, normalized_net

from keras_kd.features.input_gradient import input_gradient
from keras_kd.features.recording import Recording, watch

pytestmark = pytest.mark.core


def first(outputs):
    return outputs[:, 0]


def numpy(value):
    return np.asarray(ops.convert_to_numpy(value), "float64")


@pytest.mark.alike
def test_the_gradient_of_a_linear_model_is_its_kernel():
    kernel = np.array([[1.0, 2.0], [3.0, -4.0], [0.5, 0.0]])
    gradient = numpy(input_gradient(linear(kernel), np.ones((2, 3), "float32"), first))
    np.testing.assert_allclose(gradient, [kernel[:, 0]] * 2, rtol=1e-6)


def test_the_gradient_is_the_slope_of_each_samples_own_score():
    model, (x, _) = net(6), examples(3)
    gradient = numpy(input_gradient(model, x, first))
    for feature in range(4):
        step = 1e-2 * np.eye(4, dtype="float32")[feature]
        slope = (numpy(model(x + step)) - numpy(model(x - step)))[:, 0] / 2e-2
        np.testing.assert_allclose(gradient[:, feature], slope, rtol=1e-2, atol=1e-4)


def test_a_structure_of_inputs_has_a_gradient_each_and_zeros_where_the_score_does_not_look():
    inputs = {name: keras.Input((2,), name=name) for name in ("a", "b", "unused")}
    outputs = keras.layers.Dense(1, use_bias=False)(inputs["a"] * inputs["b"])
    outputs = outputs + 0.0 * inputs["unused"][:, :1]
    model = keras.Model(inputs, outputs)
    model.set_weights([np.array([[2.0], [3.0]])])
    x = {"a": 5.0, "b": 7.0, "unused": 9.0}
    x = {name: np.full((1, 2), value, "float32") for name, value in x.items()}
    gradient = keras.tree.map_structure(numpy, input_gradient(model, x, first))
    np.testing.assert_allclose(gradient["a"], [[14.0, 21.0]])
    np.testing.assert_allclose(gradient["b"], [[10.0, 15.0]])
    np.testing.assert_allclose(gradient["unused"], np.zeros((1, 2)))


def test_batch_normalisation_and_dropout_rest():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), *normalized_net().layers[1:]])
    x, _ = examples(5)
    before = [numpy(weight) for weight in model.weights]
    gradient = numpy(input_gradient(model, x, first))
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(numpy(weight), value)
    # Inference is linear here: all samples have one gradient, whatever else is in the batch.
    np.testing.assert_allclose(gradient, gradient[:1].repeat(5, 0), rtol=1e-5)
    np.testing.assert_array_equal(numpy(input_gradient(model, x, first)), gradient)


def test_the_pass_is_not_recorded():
    model, (x, _) = net(), examples(3)
    watch(model.get_layer("hidden"))
    with Recording() as recording:
        model(x)
        input_gradient(model, x, first)
    assert len(recording.calls_of(model.get_layer("hidden"))) == 1


@pytest.mark.alike
def test_other_backends_are_told(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "other")
    with pytest.raises(NotImplementedError, match=r"and PyTorch\. Received: backend='other'"):
        input_gradient(net(), np.ones((1, 4), "float32"), first)
