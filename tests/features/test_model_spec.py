import keras
import numpy as np
import pytest
from keras import layers

from keras_kd.features import Tap
from keras_kd.features.model_spec import (
    input_spec,
    input_spec_among,
    inspect_model,
    symbolic_call,
)

pytestmark = pytest.mark.core


def shapes_and_types(tensor):
    return tuple(tensor.shape), tensor.dtype


def test_inputs_of_a_functional_model_keep_their_structure_and_dtype():
    tokens, image = (
        keras.Input((7,), dtype="int32", name="tokens"),
        keras.Input((4, 4, 1), name="image"),
    )
    flat = layers.Concatenate()([layers.Flatten()(image), keras.ops.cast(tokens, "float32")])
    out = layers.Dense(3)(flat)
    by_name = input_spec(keras.Model({"t": tokens, "i": image}, out))
    assert shapes_and_types(by_name["t"]) == ((None, 7), "int32")
    assert shapes_and_types(by_name["i"]) == ((None, 4, 4, 1), "float32")
    in_order = input_spec(keras.Model([tokens, image], out))
    assert [shapes_and_types(x)[1] for x in in_order] == ["int32", "float32"]


def test_a_batch_size_that_one_model_fixes_holds_for_both():
    free = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    called = keras.Sequential([layers.Dense(3)])
    called(np.zeros((2, 4), "float32"))
    assert tuple(input_spec_among(free, free, None).shape) == (None, 4)
    for model in (free, called):
        assert tuple(input_spec_among(model, free, called).shape) == (2, 4)


def test_a_model_that_does_not_tell_its_inputs_shares_those_of_the_other():
    free = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    assert tuple(input_spec_among(Plain(), Plain(), free).shape) == (None, 4)
    with pytest.raises(ValueError, match="call it on a batch of data"):
        input_spec_among(Plain(), Plain(), Plain())


class Plain(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.scores = layers.Dense(5, name="hidden"), layers.Dense(3, name="scores")

    def call(self, x):
        return {"features": self.hidden(x), "scores": self.scores(self.hidden(x))}


def test_a_subclassed_model_tells_after_its_first_call():
    model = Plain()
    assert input_spec(model) is None
    model(np.zeros((2, 4), "float32"))
    assert tuple(input_spec(model).shape) == (None, 4)


def test_outputs_and_taps_have_the_shapes_they_have_in_a_run():
    model = Plain()
    model(np.zeros((2, 4), "float32"))
    tap = Tap("scores", side="input")
    spec = inspect_model(model, input_spec(model), {tap: model.scores})
    assert spec.outputs["features"].shape == (None, 5)
    assert spec.outputs["scores"].shape == (None, 3)
    assert spec.taps[tap].shape == (None, 5)


def test_nothing_is_computed_or_changed():
    class Counted(layers.Layer):
        def build(self, shape):
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, x):
            self.count.assign_add(1.0)
            return x

    model = keras.Sequential([keras.Input((4,)), Counted(), layers.BatchNormalization()])
    before = model.get_weights()
    inspect_model(model, input_spec(model), {})
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_model_is_not_watched_afterwards():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="scores")])
    call = model.get_layer("scores").call
    inspect_model(model, input_spec(model), {})
    assert model.get_layer("scores").call == call


def test_a_tap_on_several_tensors_is_an_error():
    inputs = keras.Input((4, 6))
    given, *_ = layers.LSTM(3, return_state=True, name="memory")(inputs)
    model = keras.Model(inputs, given)
    tap = Tap("memory")
    with pytest.raises(ValueError, match="not one tensor"):
        inspect_model(model, input_spec(model), {tap: model.get_layer("memory")})


def test_a_function_of_tensors_tells_its_shapes_without_values():
    found = symbolic_call(
        lambda x: keras.ops.sum(x, axis=-1) * 2.0, keras.KerasTensor((None, 4, 3), "float32")
    )
    assert tuple(found.shape) == (None, 4)


def test_an_error_inside_stays_as_it_is():
    def wrong(x):
        raise ValueError("too wide")

    with pytest.raises(ValueError, match=r"^too wide"):
        symbolic_call(wrong, keras.KerasTensor((None, 4), "float32"))


def test_a_length_that_one_model_fixes_holds_for_the_other():
    keras.utils.set_random_seed(0)

    def tagger(length):
        inputs = keras.Input((length, 4))
        return keras.Model(inputs, keras.layers.Dense(3)(inputs))

    free, fixed = tagger(None), tagger(6)
    assert tuple(input_spec_among(free, free, fixed).shape) == (None, 6, 4)
    assert tuple(input_spec_among(fixed, free, fixed).shape) == (None, 6, 4)
    assert tuple(input_spec_among(free, free, None).shape) == (None, None, 4)
