"""Another value in the place of one inside a model."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from models_for_tests import net

from keras_kd.features import Tap
from keras_kd.features.recording import Recording, watch
from keras_kd.features.replacing import replaced

pytestmark = pytest.mark.core
X = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")


def numbers(tensor):
    return ops.convert_to_numpy(tensor)


@pytest.mark.parametrize("side", ["output", "input"])
def test_what_comes_after_sees_the_other_value_and_afterwards_all_is_as_before(side):
    model = net()
    hidden, scores = model.get_layer("hidden"), model.get_layer("scores")
    before = numbers(model(X))
    with replaced(hidden, Tap("hidden", side=side), lambda value: 2.0 * value):
        found = numbers(model(X))
    expected = 2.0 * hidden(X) if side == "output" else hidden(2.0 * X)
    np.testing.assert_allclose(found, numbers(scores(expected)), rtol=1e-6)
    np.testing.assert_array_equal(numbers(model(X)), before)
    assert "call" not in vars(hidden)


def test_one_of_several_calls_is_meant():
    layer = layers.Dense(4, use_bias=False, name="twice")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layer(layer(inputs)))
    kernel = numbers(layer.kernel)
    with replaced(layer, Tap("twice", call=1), lambda value: value + 1.0):
        np.testing.assert_allclose(numbers(model(X)), X @ kernel @ kernel + 1.0, rtol=1e-5)
    with replaced(layer, Tap("twice", call=0), lambda value: value + 1.0):
        np.testing.assert_allclose(numbers(model(X)), (X @ kernel + 1.0) @ kernel, rtol=1e-5)


@pytest.mark.parametrize("name", ["inner", "words", "hidden"])
@pytest.mark.parametrize("side", ["output", "input"])
def test_the_mask_of_what_is_replaced_is_seen_by_what_comes_after(name, side):
    tokens = keras.Input((3,), dtype="int32")
    words = layers.Embedding(5, 4, mask_zero=True, name="words")
    inner = keras.Model(tokens, words(tokens), name="inner")
    inputs, hidden = keras.Input((3,), dtype="int32"), layers.Dense(2, name="hidden")
    pooled = layers.GlobalAveragePooling1D()(hidden(inner(inputs)))
    model = keras.Model(inputs, pooled)
    x = ops.convert_to_tensor([[1, 2, 0], [3, 0, 0]])
    layer = {"inner": inner, "words": words, "hidden": hidden}[name]
    with replaced(layer, Tap(name, side=side), lambda value: value * 1):
        found = numbers(model(x))
    np.testing.assert_allclose(found, numbers(model(x)), rtol=1e-6)


def test_a_watched_layer_is_watched_as_before_also_after_an_error():
    layer = net().get_layer("hidden")
    watch(layer)
    with pytest.raises(KeyError), replaced(layer, Tap("hidden"), lambda value: {}["none"]):
        layer(X)
    with Recording() as recording:
        given = layer(X)
    assert recording.value(layer, Tap("hidden")) is given
