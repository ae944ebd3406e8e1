import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from contract import LossContract
from every_loss import assert_formula, draw, in_both_dtypes, properties, run, two_seeds
from formulas import log_softmax
from gradients import gradient
from hypothesis import given
from hypothesis import strategies as st
from variants import alike_but_first

from keras_kd.losses import KDLoss, LogitStdLoss

pytestmark = pytest.mark.core

logits = hnp.arrays("float64", (3, 4), elements=st.integers(-50, 50).map(float), unique=True)


def standardised(teacher, student, temperature):
    """Sun 2024, algorithm 1: KD of (z - mean) / std / T, the deviation over all classes."""
    logs = []
    for z in (teacher, student):
        deviation = np.sqrt(((z - z.mean(-1, keepdims=True)) ** 2).mean(-1, keepdims=True))
        logs.append(log_softmax((z - z.mean(-1, keepdims=True)) / (deviation + 1e-7) / temperature))
    return temperature**2 * (np.exp(logs[0]) * (logs[0] - logs[1])).sum(-1)


@in_both_dtypes
@two_seeds
@alike_but_first("shape", [(3, 4, 5), (1, 3), (4, 7), (5, 2)], ids=str)
@alike_but_first("temperature", [2.0, 0.5])
def test_logit_std_is_the_papers_formula(temperature, shape, seed, dtype):
    teacher, student = draw(shape, seed)
    loss = LogitStdLoss(temperature, dtype=dtype, reduction=None)
    expected = standardised(teacher, student, temperature)
    assert_formula(loss, expected, teacher, student, rounding=4.0)


@pytest.mark.alike
def test_logit_std_by_hand():
    # Two logits become (-1, 1) or (1, -1) whatever they are: p = 1 / (1 + e^2) and its complement,
    # KL = (1 - 2 p) * 2 where they differ.
    p = 1.0 / (1.0 + np.exp(2.0))
    teacher, student = np.array([[3.0, 5.0], [1.0, 9.0]]), np.array([[0.0, 70.0], [9.0, 8.0]])
    each = run(LogitStdLoss(1.0, reduction=None), teacher, student)
    np.testing.assert_allclose(each, [0.0, 2.0 * (1.0 - 2.0 * p)], atol=1e-6)


@pytest.mark.alike
def test_logit_std_has_temperature_2_and_weight_9_unless_told_even_inside_a_distiller():
    assert LogitStdLoss().weight == 9.0
    teacher, student = draw((3, 5))
    for told in ({}, {"temperature": 9.0}):
        value = run(LogitStdLoss(), teacher, student, **told)
        assert value == pytest.approx(standardised(teacher, student, 2.0).mean(), rel=1e-5)
    value = run(LogitStdLoss(None), teacher, student, temperature=9.0)
    assert value == pytest.approx(standardised(teacher, student, 9.0).mean(), rel=1e-4)


@properties
@given(logits, logits, st.floats(-1e3, 1e3), st.floats(0.1, 100.0))
def test_logit_std_sees_neither_a_shift_nor_a_factor_of_the_logits(teacher, student, shift, factor):
    # The 1e-7 beside deviations of 0.03 and more is all that sees it.
    loss = LogitStdLoss(dtype="float64")
    moved = run(loss, factor * teacher + shift, factor * student - shift)
    assert moved == pytest.approx(run(loss, teacher, student), rel=1e-4, abs=1e-5)


def test_logit_std_of_standard_logits_is_kd():
    rng = np.random.default_rng(0)
    teacher, student = (rng.permuted(np.tile([-1.0, -1.0, 1.0, 1.0], (5, 1)), axis=1) for _ in "12")
    kd = run(KDLoss(2.0), teacher, student)
    assert run(LogitStdLoss(), teacher, student) == pytest.approx(kd, rel=1e-5)


@alike_but_first("level", [0.0, 0.1, 7.0, 60000.0])
def test_logit_std_of_a_constant_student_is_that_of_a_fair_die_with_a_gradient_of_usual_size(level):
    teacher, student = draw((2, 7))[0], np.full((2, 7), level)
    loss = LogitStdLoss()
    expected = standardised(teacher, np.zeros((2, 7)), 2.0).mean()
    assert run(loss, teacher, student) == pytest.approx(expected, rel=1e-5)
    slope = gradient(lambda z: loss(teacher, z), student, "float32")
    assert 0.01 < np.abs(slope).max() < 2.0


def test_logit_std_of_constant_teachers_and_students_is_0():
    teacher, student = np.full((2, 3), 7.0), np.full((2, 3), -2.0)
    loss = LogitStdLoss()
    assert run(loss, teacher, student) == pytest.approx(0.0, abs=1e-6)
    slope = gradient(lambda z: loss(teacher, z), student, "float32")
    np.testing.assert_allclose(slope, np.zeros((2, 3)), atol=1e-6)


def test_logit_std_is_finite_at_a_logit_gap_of_1000():
    teacher, student = np.array([[1000.0, 0.0, 0.0]]), np.array([[0.0, 1000.0, 3.0]])
    loss = LogitStdLoss()
    expected = standardised(teacher, student, 2.0)[0]
    assert run(loss, teacher, student) == pytest.approx(expected, rel=1e-5)
    slope = gradient(lambda z: loss(teacher, z), student, "float32")
    assert np.isfinite(slope).all()


def test_logit_std_of_masked_tokens_is_that_of_the_others():
    teacher, student = draw((2, 3, 4))
    mask = np.array([[True, True, False], [True, False, False]])
    expected = standardised(teacher[mask], student[mask], 2.0).mean()
    assert run(LogitStdLoss(), teacher, student, mask=mask) == pytest.approx(expected, rel=1e-5)


@pytest.mark.alike
@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan])
def test_a_wrong_temperature_is_refused(wrong):
    with pytest.raises(ValueError, match=r"`temperature` must be .* above 0\. Received: temp"):
        LogitStdLoss(wrong)


class TestLogitStdLoss(LossContract):
    make = LogitStdLoss

    def test_its_own_arguments_are_kept(self):
        copy = LogitStdLoss.from_config(LogitStdLoss(3.0, weight=4.0).get_config())
        assert (copy.temperature, copy.weight) == (3.0, 4.0)
