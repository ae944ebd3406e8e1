import keras
import numpy as np
import pytest

from keras_kd.export.float32_clone import float32_clone, is_float32

pytestmark = [pytest.mark.core, pytest.mark.alike]
LOWER = ["mixed_float16", "mixed_bfloat16", "bfloat16"]


@pytest.fixture
def policy(request):
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(previous)


class Composite(keras.layers.Layer):
    """Makes its own layers, and sets the precision of one itself."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = keras.layers.Dense(3)
        self.stubborn = keras.layers.Dense(2, dtype="mixed_bfloat16")

    def build(self, shape):
        self.inner.build(shape)
        self.stubborn.build((*shape[:-1], 3))

    def call(self, x):
        return self.stubborn(self.inner(x))


class Student(keras.Model):
    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.body, self.tail = keras.layers.Dense(width), [Composite()]

    def call(self, x):
        return self.tail[0](self.body(x))

    def get_config(self):
        return {**super().get_config(), "width": self.width}


def _functional():
    x = keras.Input((4,))
    block = keras.Sequential([keras.layers.Dense(6), keras.layers.BatchNormalization()])
    return keras.Model(x, Composite()(block(x)))


def _subclassed():
    student = Student(5)
    student(np.zeros((2, 4)))
    return student


@pytest.mark.parametrize("policy", LOWER, indirect=True)
@pytest.mark.parametrize("make", [_functional, _subclassed])
def test_clone_computes_in_float32_with_the_students_weights(make, policy):
    student = make()
    clone = float32_clone(student)
    assert is_float32(clone) and not is_float32(student)
    assert keras.config.dtype_policy().name == policy
    for ours, theirs in zip(clone.get_weights(), student.get_weights(), strict=True):
        assert ours.dtype == "float32"
        np.testing.assert_array_equal(ours, theirs.astype("float32"))
    x = np.random.default_rng(0).normal(size=(8, 4))
    output = keras.ops.convert_to_numpy(clone(x))
    assert output.dtype == "float32"
    expected = keras.ops.convert_to_numpy(student(x)).astype("float32")
    np.testing.assert_allclose(output, expected, atol=0.05)


@pytest.mark.parametrize("policy", ["mixed_bfloat16"], indirect=True)
def test_statistics_that_are_no_weights_are_kept(policy):
    normalise = keras.layers.Normalization()
    data = np.random.default_rng(0).normal(5.0, 3.0, size=(100, 4)).astype("float32")
    normalise.adapt(data)
    student = keras.Sequential([keras.Input((4,)), normalise])
    output = keras.ops.convert_to_numpy(float32_clone(student)(data))
    np.testing.assert_allclose(output.mean(axis=0), 0.0, atol=1e-4)


def test_a_student_that_cannot_be_rebuilt_says_how_to_mend_it():
    class Unsaved(keras.layers.Layer):
        def __init__(self, connection, **kwargs):
            super().__init__(**kwargs)
            self.connection = connection

        def call(self, x):
            return x

    layer = Unsaved(object(), dtype="mixed_bfloat16")
    student = keras.Sequential([keras.Input((4,)), layer], name="s")
    with pytest.raises(ValueError, match=r"Give it .* a `get_config`.*student='s'"):
        float32_clone(student)
