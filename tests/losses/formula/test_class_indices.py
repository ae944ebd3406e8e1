import keras
import numpy as np
import pytest
from keras import ops
from variants import of_compiled_steps

from keras_kd.losses.formula.class_indices import class_indices

pytestmark = [pytest.mark.core, pytest.mark.alike]
LOGITS = np.zeros((3, 4), "float32")


def indices(labels, logits=LOGITS):
    """Where all of them are classes."""
    found, known = class_indices("my_loss", labels, ops.convert_to_tensor(logits))
    assert ops.convert_to_numpy(known).all()
    assert keras.backend.standardize_dtype(found.dtype) == "int32"
    return ops.convert_to_numpy(found).tolist()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "float32", "float64"])
def test_numbers_and_columns_and_one_hot_rows_of_any_type_are_the_same_labels(dtype):
    numbers = np.array([3, 0, 1], dtype)
    assert indices(numbers) == [3, 0, 1]
    assert indices(numbers[:, None]) == [3, 0, 1]
    assert indices(np.eye(4, dtype=dtype)[[3, 0, 1]]) == [3, 0, 1]


def test_true_and_false_are_numbers_of_two_classes():
    assert indices(np.array([True, False]), np.zeros((2, 2))) == [1, 0]


def test_numbers_above_255_are_not_compared_in_the_labels_own_small_type():
    assert indices(np.array([200], "uint8"), np.zeros((1, 1000))) == [200]


def test_soft_labels_mean_their_largest_entry():
    soft = [[0.1, 0.2, 0.6, 0.1], [0.7, 0.3, 0.0, 0.0], [0.25, 0.25, 0.24, 0.26]]
    assert indices(np.array(soft)) == [2, 0, 3]


@pytest.mark.parametrize("length", [4, 5])
def test_tokens_have_a_label_each(length):
    # As long as there are classes, too: (3, 4) is then numbers, not rows.
    numbers = np.arange(3 * length).reshape(3, length) % 4
    logits = np.zeros((3, length, 4))
    for labels in (numbers, numbers[..., None], np.eye(4)[numbers]):
        assert indices(labels, logits) == numbers.tolist()


@pytest.mark.parametrize("shape", [(2,), (3, 5), (3, 2), (3, 1, 1), (3, 4, 1), (), (4, 4)])
def test_another_shape_is_refused(shape):
    with pytest.raises(
        ValueError,
        match=r"my_loss: labels must be class numbers \(3,\) or \(3, 1\), or rows \(3, 4\).*"
        r"Received: labels=.*student=\(3, 4\)",
    ):
        class_indices("my_loss", np.zeros(shape, "int32"), ops.convert_to_tensor(LOGITS))


@pytest.mark.parametrize("wrong", [-1, 4, 1.5, np.nan, [0, 0, 0, 0]])
def test_what_is_no_class_is_refused_where_it_is_known(wrong):
    labels = [[0, 0, 0, 1]] * 2 + [wrong] if isinstance(wrong, list) else [0, 3, wrong]
    with pytest.raises(ValueError, match=r"classes from 0 to 3.*Received: labels with \["):
        class_indices("my_loss", np.array(labels), ops.convert_to_tensor(LOGITS))


@of_compiled_steps
@pytest.mark.parametrize("wrong", [-1, 4])
def test_what_is_no_class_is_told_apart_inside_a_compiled_step(wrong):
    class Ask(keras.layers.Layer):
        def call(self, labels):
            logits = ops.zeros((ops.shape(labels)[0], 4))
            found, known = class_indices("my_loss", labels, logits)
            return ops.where(known, found, -7)

    x = keras.Input((), dtype="int32")
    ask = keras.Model(x, Ask()(x))
    found = ask.predict(np.array([0, wrong, 3], "int32"), verbose=0)
    np.testing.assert_array_equal(found, [0, -7, 3])
