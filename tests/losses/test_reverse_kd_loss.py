import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from contract import LossContract
from every_loss import assert_formula, draw, every_shape, in_both_dtypes, properties, run, two_seeds
from formulas import log_softmax
from gradients import gradient
from hypothesis import given
from hypothesis import strategies as st
from variants import alike_but_first

from keras_kd.losses import KDLoss, ReverseKDLoss

pytestmark = pytest.mark.core

logits = hnp.arrays("float64", (2, 4), elements=st.floats(-50.0, 50.0))
temperatures = st.floats(0.5, 20.0)


def reverse(teacher, student, temperature):
    """Gu 2024: KL of the teacher from the student, here times T^2."""
    log_t, log_s = log_softmax(teacher / temperature), log_softmax(student / temperature)
    return temperature**2 * (np.exp(log_s) * (log_s - log_t)).sum(axis=-1)


@in_both_dtypes
@two_seeds
@every_shape
@alike_but_first("temperature", [4.0, 1.0])
def test_reverse_kd_is_the_papers_formula(temperature, shape, seed, dtype):
    teacher, student = draw(shape, seed)
    loss = ReverseKDLoss(temperature, dtype=dtype, reduction=None)
    expected = reverse(teacher, student, temperature)
    assert_formula(loss, expected, teacher, student, rounding=temperature**2)


def test_reverse_kd_of_three_to_one_against_a_coin():
    # p_s = (1/4, 3/4), p_t = (1/2, 1/2): KL = 1/4 ln(1/2) + 3/4 ln(3/2).
    value = run(ReverseKDLoss(), np.zeros((1, 2)), np.array([[0.0, np.log(3.0)]]))
    assert value == pytest.approx(0.25 * np.log(0.5) + 0.75 * np.log(1.5), rel=1e-6)


def test_reverse_kd_has_temperature_1_unless_told_even_inside_a_distiller():
    teacher, student = draw((3, 5))
    for told in ({}, {"temperature": 9.0}):
        value = run(ReverseKDLoss(), teacher, student, **told)
        assert value == pytest.approx(reverse(teacher, student, 1.0).mean(), rel=1e-5)
    value = run(ReverseKDLoss(None), teacher, student, temperature=9.0)
    assert value == pytest.approx(reverse(teacher, student, 9.0).mean(), rel=1e-4)


@pytest.mark.alike
@properties
@given(logits, logits, temperatures)
def test_reverse_kd_is_kd_with_the_roles_exchanged(teacher, student, t):
    loss, kd = ReverseKDLoss(t, dtype="float64"), KDLoss(t, dtype="float64")
    value = run(loss, teacher, student)
    assert value == pytest.approx(run(kd, student, teacher), rel=1e-9, abs=1e-9)
    assert value >= -1e-11


@pytest.mark.alike
@properties
@given(logits, logits, st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_reverse_kd_does_not_see_a_shift_of_the_logits(teacher, student, shift_t, shift_s):
    loss = ReverseKDLoss(2.0, dtype="float64")
    shifted = run(loss, teacher + shift_t, student + shift_s)
    assert shifted == pytest.approx(run(loss, teacher, student), rel=1e-8, abs=1e-8)


def test_reverse_kd_asks_nothing_of_a_student_that_keeps_to_one_of_two_modes():
    # KD is large where the student leaves out a class of the teacher's; the reverse is ln 2.
    teacher, student = np.array([[0.0, 0.0, -100.0]]), np.array([[0.0, -100.0, -100.0]])
    assert run(ReverseKDLoss(), teacher, student) == pytest.approx(np.log(2.0), rel=1e-6)
    assert run(KDLoss(1.0), teacher, student) > 40.0


@in_both_dtypes
def test_reverse_kd_is_exact_at_a_logit_gap_of_1000(dtype):
    # The student is certain of class 1, to which the teacher gives e^-1000. Its gradient is
    # p_s (log p_s - log p_t - KL) = 0: it is at a corner.
    teacher, student = np.array([[1000.0, 0.0]]), np.array([[0.0, 1000.0]])
    loss = ReverseKDLoss(dtype=dtype)
    assert run(loss, teacher, student) == pytest.approx(1000.0, rel=1e-6)
    slope = gradient(lambda z: loss(teacher, z), student, dtype)
    np.testing.assert_allclose(slope, np.zeros((1, 2)), atol=1e-6)
    # An undecided student is pushed away from where the teacher is not: 1/2 (log p_s/p_t - KL).
    slope = gradient(lambda z: loss(teacher, z), np.zeros((1, 2)), dtype)
    np.testing.assert_allclose(slope, [[-250.0, 250.0]], rtol=1e-6)


def test_reverse_kd_of_masked_tokens_is_that_of_the_others():
    teacher, student = draw((2, 3, 4))
    mask = np.array([[True, True, False], [True, False, False]])
    expected = reverse(teacher[mask], student[mask], 1.0).mean()
    assert run(ReverseKDLoss(), teacher, student, mask=mask) == pytest.approx(expected, rel=1e-5)


@pytest.mark.alike
@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan])
def test_a_wrong_temperature_is_refused(wrong):
    with pytest.raises(ValueError, match=r"`temperature` must be .* above 0\. Received: temp"):
        ReverseKDLoss(wrong)
    with pytest.raises(ValueError, match=r"must have one shape.*Received: teacher=\(2, 3\)"):
        ReverseKDLoss()(np.ones((2, 3)), np.ones((2, 4)))


class TestReverseKDLoss(LossContract):
    make = ReverseKDLoss
