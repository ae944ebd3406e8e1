import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from every_loss import assert_formula, draw, every_shape, in_both_dtypes, properties, run, two_seeds
from formulas import log_softmax, softmax
from gradients import assert_gradient, gradient, rounding
from hypothesis import given
from hypothesis import strategies as st
from variants import alike_but_first

from keras_kd.losses import KDLoss

pytestmark = pytest.mark.core

logits = hnp.arrays("float64", (2, 4), elements=st.floats(-50.0, 50.0))
temperatures = st.floats(0.5, 20.0)


def kd(teacher, student, temperature):
    """Hinton 2015: T^2 KL(softmax(z_t / T) || softmax(z_s / T))."""
    log_t, log_s = log_softmax(teacher / temperature), log_softmax(student / temperature)
    return temperature**2 * (np.exp(log_t) * (log_t - log_s)).sum(axis=-1)


@in_both_dtypes
@two_seeds
@every_shape
@alike_but_first("temperature", [20.0, 1.0])
def test_kd_loss_is_hintons_formula(temperature, shape, seed, dtype):
    teacher, student = draw(shape, seed)
    expected = kd(teacher, student, temperature)
    loss = KDLoss(temperature=temperature, dtype=dtype, reduction=None)
    assert_formula(loss, expected, teacher, student, rounding=temperature**2)


def test_kd_loss_of_a_coin_against_three_to_one():
    # p_t = (1/4, 3/4), p_s = (1/2, 1/2): KL = 1/4 ln(1/2) + 3/4 ln(3/2) = 0.1308120.
    loss = run(KDLoss(temperature=1.0), [[0.0, np.log(3.0)]] * np.ones((1, 1)), np.zeros((1, 2)))
    assert loss == pytest.approx(0.25 * np.log(0.5) + 0.75 * np.log(1.5), rel=1e-6)


def test_kd_loss_alone_has_temperature_4():
    teacher, student = draw((3, 5))
    assert run(KDLoss(), teacher, student) == pytest.approx(
        kd(teacher, student, 4.0).mean(), rel=1e-5
    )


@in_both_dtypes
@alike_but_first("temperature", [4.0, 1.0])
def test_kd_loss_is_exact_at_a_logit_gap_of_1000(temperature, dtype):
    # The teacher is certain of class 0, the student of class 1: KL = 1000 / T, gradient
    # T (p_s - p_t). Keras' KLDivergence says 16.1 there, with a gradient of 0.
    teacher, student = np.array([[1000.0, 0.0]]), np.array([[0.0, 1000.0]])
    loss = KDLoss(temperature=temperature, dtype=dtype)
    assert run(loss, teacher, student) == pytest.approx(1000.0 * temperature, rel=1e-6)
    slope = gradient(lambda z: loss(teacher, z), student, dtype)
    np.testing.assert_allclose(slope, [[-temperature, temperature]], rtol=1e-6)


def test_kd_loss_gradient_is_the_difference_of_probabilities():
    # d/dz_s of T^2 KL = T (p_s - p_t), here over a batch of 3.
    teacher, student = draw((3, 5))
    loss = KDLoss(temperature=3.0, dtype="float64")
    expected = 3.0 * (softmax(student / 3.0) - softmax(teacher / 3.0)) / 3
    slope = gradient(lambda z: loss(teacher, z), student)
    np.testing.assert_allclose(slope, expected, rtol=rounding(1e-10), atol=rounding(1e-12))


def test_kd_loss_gradient_keeps_its_size_as_the_temperature_grows():
    # At high T, T (p_s - p_t) tends to (z_s - z_t) / C for logits of mean zero (Hinton, eq. 4).
    teacher, student = draw((1, 5))
    teacher, student = teacher - teacher.mean(), student - student.mean()
    loss = KDLoss(temperature=1e4, dtype="float64")
    slope = gradient(lambda z: loss(teacher, z), student)
    np.testing.assert_allclose(slope, (student - teacher) / 5, atol=1e-3)


def test_kd_loss_of_constant_rows_is_zero_with_zero_gradient():
    teacher, student = np.full((2, 3), 7.0), np.full((2, 3), -2.0)
    loss = KDLoss()
    assert run(loss, teacher, student) == pytest.approx(0.0, abs=1e-6)
    slope = gradient(lambda z: loss(teacher, z), student, "float32")
    np.testing.assert_allclose(slope, np.zeros((2, 3)), atol=1e-6)


@pytest.mark.alike
@properties
@given(logits, logits, temperatures, st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_kd_loss_does_not_see_a_shift_of_the_logits(teacher, student, t, shift_t, shift_s):
    loss = KDLoss(temperature=t, dtype="float64")
    shifted = run(loss, teacher + shift_t, student + shift_s)
    assert shifted == pytest.approx(run(loss, teacher, student), rel=1e-8, abs=1e-8)


@pytest.mark.alike
@properties
@given(logits, logits, temperatures)
def test_kd_loss_is_never_negative(teacher, student, t):
    # Rounding of a sum of terms near 1 costs 1e-15, times T^2 of at most 400.
    assert run(KDLoss(temperature=t, dtype="float64"), teacher, student) >= -1e-11


@pytest.mark.alike
@properties
@given(logits, temperatures)
def test_kd_loss_is_zero_for_a_student_that_equals_its_teacher(values, t):
    loss = KDLoss(temperature=t)
    assert run(loss, values, values) == pytest.approx(0.0, abs=1e-6)
    slope = gradient(lambda z: loss(values, z), values, "float32")
    np.testing.assert_allclose(slope, np.zeros(values.shape), atol=1e-5)


def test_kd_loss_gradient_equals_central_differences_at_its_own_temperature():
    teacher, student = draw((2, 3, 4), scale=5.0)
    loss = KDLoss(temperature=0.7, dtype="float64")
    assert_gradient(lambda z: loss(teacher, z), student)


def test_kd_loss_reads_float16_logits_of_12_without_nan():
    # KLDivergence of Keras gives NaN gradients there: its epsilon of 1e-7 is 0 in float16.
    teacher, student = np.array([[12.0, -12.0]], "float16"), np.array([[-12.0, 12.0]], "float16")
    loss = KDLoss(temperature=1.0)
    assert run(loss, teacher, student) == pytest.approx(24.0, rel=1e-5)
    slope = gradient(lambda z: loss(teacher, z), student, "float16")
    np.testing.assert_allclose(slope, [[-1.0, 1.0]], rtol=1e-3)
