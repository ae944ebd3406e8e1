import keras
import numpy as np
import pytest

from keras_kd.export.student_inputs import StudentInputs

pytestmark = pytest.mark.core


class Sum(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.head = keras.layers.Dense(2)

    def call(self, x):
        return self.head(sum(keras.tree.flatten(x)))


def _described(inputs):
    return {tensor.name: (tensor.shape, tensor.dtype) for tensor in inputs.tensors}


def test_keys_of_a_dict_are_the_names(two_by_two):
    model, x = two_by_two
    inputs = StudentInputs(model)
    assert _described(inputs) == {
        "zeta": ((None, 4), "float32"),
        "alpha": ((None, 3), "float32"),
    }
    named = inputs.named(x)
    np.testing.assert_allclose(named["zeta"], x["zeta"], atol=1e-6)
    assert named["zeta"].dtype == "float32"
    assert inputs.packed(named).keys() == x.keys()


def test_names_of_inputs_are_kept_and_made_fit_for_signatures():
    tensors = [keras.Input((2,), name="left-eye"), keras.Input((2,)), keras.Input((2,))]
    student = keras.Model(tensors, keras.layers.Add()(tensors))
    assert list(_described(StudentInputs(student))) == ["left_eye", "inputs", "inputs_1"]


def test_lists_of_inputs_may_be_fed_by_name():
    tensors = [keras.Input((2,), name="b"), keras.Input((2,), name="a")]
    inputs = StudentInputs(keras.Model(tensors, keras.layers.Add()(tensors)))
    named = inputs.named({"a": np.zeros((1, 2)), "b": np.ones((1, 2))})
    assert (named["a"].max(), named["b"].min()) == (0, 1)
    assert [part[0, 0] for part in inputs.packed(named)] == [1, 0]


def test_subclassed_student_learns_dtypes_and_varying_lengths_from_samples():
    student = Sum()
    student({"b": np.ones((2, 7)), "a": np.ones((2, 7))})
    samples = [{"a": np.ones((4, length), "int32"), "b": np.ones((4, length))} for length in (7, 9)]
    assert _described(StudentInputs(student)) == {
        "b": ((None, 7), "float32"),
        "a": ((None, 7), "float32"),
    }
    assert _described(StudentInputs(student, samples)) == {
        "b": ((None, None), "float32"),
        "a": ((None, None), "int32"),
    }


def test_random_examples_are_the_same_each_time_and_in_range(reader):
    inputs = StudentInputs(reader)
    first, second = inputs.random_examples(), inputs.random_examples()
    np.testing.assert_array_equal(first, second)
    assert first.shape == (16, 32) and first.dtype == "int32"
    assert set(np.unique(first)) == {0, 1}


@pytest.mark.parametrize("texts", [np.array([["a", "b"]]), np.array([[b"a", b"b"]], object)])
def test_strings_for_a_student_of_ids_are_refused(texts):
    tokens = keras.Input((2,), dtype="int32", name="tokens")
    student = keras.Model(tokens, keras.layers.Embedding(3, 1)(tokens))
    with pytest.raises(ValueError, match=r"takes numbers, such as token ids.*'tokens' of int32"):
        StudentInputs(student).named(texts)
