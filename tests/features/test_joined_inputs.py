"""What models take together: names put together, and what cannot be joined."""

import keras
import pytest
from models_for_tests import net

from keras_kd.features.joined_inputs import joined_inputs

pytestmark = [pytest.mark.core, pytest.mark.alike]


def named(dtype="float32", **sizes):
    """A model of inputs by name, each `(size,)`, which it hands on."""
    inputs = {name: keras.Input((size,), name=name, dtype=dtype) for name, size in sizes.items()}
    return keras.Model(inputs, [keras.layers.Identity()(x) for x in inputs.values()])


class Subclassed(keras.Model):
    def __init__(self, shape):
        super().__init__()
        self.dense = keras.layers.Dense(2)
        self.build(shape)

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        return self.dense(x)


def test_inputs_by_name_are_put_together():
    found = joined_inputs({"one": named(a=2, b=3), "two": named(b=3, c=4)})
    assert {key: tuple(x.shape) for key, x in found.items()} == {
        "a": (None, 2),
        "b": (None, 3),
        "c": (None, 4),
    }
    assert [x.name for x in found.values()] == list("abc")


def test_a_model_of_one_named_tensor_joins_those_by_name():
    x = keras.Input((3,), name="b")
    found = joined_inputs({"one": named(a=2, b=3), "two": keras.Model(x, keras.layers.Dense(2)(x))})
    assert list(found) == ["a", "b"]


def test_a_size_that_one_leaves_open_is_the_others():
    def images(size):
        return keras.Sequential([keras.Input((size, size, 1)), keras.layers.Conv2D(1, 1)])

    assert joined_inputs({"any": images(None), "eight": images(8)}).shape == (None, 8, 8, 1)


def test_dtypes_come_from_models_that_tell_them():
    tokens = keras.Sequential([keras.Input((4,), dtype="int32"), keras.layers.Embedding(5, 2)])
    found = joined_inputs({"subclassed": Subclassed((None, 4)), "tokens": tokens})
    assert found.dtype == "int32"


@pytest.mark.parametrize(
    ("models", "error"),
    [
        ({"one": net(), "two": net(features=5)}, r"input number 0 of shapes .*\(None, 5\)"),
        ({"one": named(a=2), "two": named(a=3)}, r"input 'a' of shapes"),
        ({"one": named(a=2), "two": net()}, "by names of the data"),
        ({"words": named("string", a=2), "ids": named("int32", a=2)}, "dtypes"),
    ],
)
def test_what_cannot_be_joined_is_refused(models, error):
    with pytest.raises(ValueError, match=error):
        joined_inputs(models)
