import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from every_loss import assert_formula, draw, every_shape, in_both_dtypes, properties, run, two_seeds
from formulas import sigmoid
from gradients import assert_gradient, gradient
from hypothesis import given
from hypothesis import strategies as st
from variants import alike_but_first

from keras_kd.losses import BinaryKDLoss, KDLoss

pytestmark = pytest.mark.core

logits = hnp.arrays("float64", (2, 3), elements=st.floats(-50.0, 50.0))
temperatures = st.floats(0.5, 20.0)


def binary_kd(teacher, student, temperature):
    """T^2 times the sum over labels of KL(Bernoulli(p) || Bernoulli(q))."""
    p, q = sigmoid(teacher / temperature), sigmoid(student / temperature)
    divergence = p * np.log(p / q) + (1.0 - p) * np.log((1.0 - p) / (1.0 - q))
    return temperature**2 * divergence.sum(axis=-1)


@in_both_dtypes
@two_seeds
@every_shape
@alike_but_first("temperature", [4.0, 1.0])
def test_binary_kd_is_the_sum_of_bernoulli_divergences(temperature, shape, seed, dtype):
    teacher, student = draw(shape, seed)
    expected = binary_kd(teacher, student, temperature)
    loss = BinaryKDLoss(temperature=temperature, dtype=dtype, reduction=None)
    assert_formula(loss, expected, teacher, student, rounding=temperature**2)


def test_binary_kd_of_one_label_is_kd_of_two_classes():
    # A sigmoid of z is a softmax of (z, 0).
    teacher, student = draw((5, 1))
    zeros = np.zeros((5, 1))
    two_classes = run(
        KDLoss(temperature=3.0, dtype="float64"),
        np.hstack([teacher, zeros]),
        np.hstack([student, zeros]),
    )
    one_label = run(BinaryKDLoss(temperature=3.0, dtype="float64"), teacher, student)
    assert one_label == pytest.approx(two_classes, rel=1e-12)


@in_both_dtypes
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_binary_kd_is_exact_at_a_logit_gap_of_1000(sign, dtype):
    # The teacher's yes has probability 1, the student's log-probability of it is -500 / T:
    # T^2 * 500 / T with T 4, gradient T (q - p).
    teacher, student = np.array([[500.0 * sign]]), np.array([[-500.0 * sign]])
    loss = BinaryKDLoss(temperature=4.0, dtype=dtype)
    assert run(loss, teacher, student) == pytest.approx(2000.0, rel=1e-6)
    slope = gradient(lambda z: loss(teacher, z), student, dtype)
    np.testing.assert_allclose(slope, [[-4.0 * sign]], rtol=1e-6)


@pytest.mark.alike
@properties
@given(logits, logits, temperatures)
def test_binary_kd_is_never_negative(teacher, student, t):
    # Rounding of terms near 1 costs 1e-15, times T^2 of at most 400.
    assert run(BinaryKDLoss(temperature=t, dtype="float64"), teacher, student) >= -1e-11


@pytest.mark.alike
@properties
@given(logits, temperatures)
def test_binary_kd_is_zero_for_a_student_that_equals_its_teacher(values, t):
    loss = BinaryKDLoss(temperature=t)
    assert run(loss, values, values) == 0.0
    slope = gradient(lambda z: loss(values, z), values, "float32")
    np.testing.assert_allclose(slope, np.zeros(values.shape), atol=1e-5)


@properties
@given(logits, logits)
def test_binary_kd_does_not_care_which_answer_is_called_yes(teacher, student):
    loss = BinaryKDLoss(dtype="float64")
    swapped = run(loss, -teacher, -student)
    assert swapped == pytest.approx(run(loss, teacher, student), rel=1e-9, abs=1e-11)


def test_binary_kd_gradient_equals_central_differences_at_its_own_temperature():
    teacher, student = draw((2, 3, 4), scale=5.0)
    loss = BinaryKDLoss(temperature=0.7, dtype="float64")
    assert_gradient(lambda z: loss(teacher, z), student)
