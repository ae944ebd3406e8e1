import numpy as np
import pytest

from keras_kd.runtimes.file_tensor import FileTensor

pytestmark = [pytest.mark.core, pytest.mark.alike]

QUANTISED = FileTensor("x", (2,), np.dtype("int8"), scale=0.5, zero_point=-3)


def test_real_numbers_are_rounded_into_the_integers_that_the_file_keeps():
    values = np.array([[0.0, 1.0], [-0.6, 100.0], [-100.0, 0.26]])
    stored = QUANTISED.stored(values)
    assert stored.dtype == np.int8
    # 0 is -3, a step is 0.5, and what lies beyond int8 becomes its end
    np.testing.assert_array_equal(stored, [[-3, -1], [-4, 127], [-128, -2]])
    back = QUANTISED.real(stored)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back[:2], [[0.0, 1.0], [-0.5, 65.0]])


def test_integers_of_the_files_own_dtype_go_in_as_they_are():
    stored = np.array([[1, 2]], "int8")
    np.testing.assert_array_equal(QUANTISED.stored(stored), stored)


def test_strings_and_sizes_that_are_not_known():
    words = FileTensor("w", (-1,), np.dtype(object))
    assert words.stored(np.array([["a", "b", "c"]])).tolist() == [["a", "b", "c"]]
    with pytest.raises(TypeError, match=r"'w' takes strings\. Received: values of int64"):
        words.stored(np.array([[1]]))
    assert FileTensor("x", None, np.dtype("float32")).stored(np.ones((2, 3, 4))).shape == (2, 3, 4)


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (np.ones((3, 4)), ValueError, r"shape \(2,\).*batch of shape \(3, 4\)"),
        (np.ones(2), ValueError, r"batch of shape \(2,\)"),
        (np.array([["a", "b"]]), TypeError, "takes int32. Received: values of <U1"),
        (
            np.array([[2**40, 1]]),
            ValueError,
            "from -2147483648 to .*values from 1 to 1099511627776",
        ),
        (np.ones((3, 2)), TypeError, "takes int32. Received: values of float64"),
    ],
)
def test_what_does_not_fit_is_refused(values, error, message):
    with pytest.raises(error, match=message):
        FileTensor("x", (2,), np.dtype("int32")).stored(values)
