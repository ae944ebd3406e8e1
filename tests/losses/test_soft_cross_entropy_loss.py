import numpy as np
import pytest
from every_loss import assert_formula, draw, every_shape, in_both_dtypes, run, two_seeds
from formulas import log_softmax, softmax
from gradients import gradient, rounding
from variants import alike_but_first

from keras_kd.losses import KDLoss, SoftCrossEntropyLoss

pytestmark = pytest.mark.core


def soft_cross_entropy(teacher, student, temperature):
    """Hinton 2015, section 2: -T^2 sum_c p_t log p_s."""
    p_t, log_s = softmax(teacher / temperature), log_softmax(student / temperature)
    return -(temperature**2) * (p_t * log_s).sum(axis=-1)


@in_both_dtypes
@two_seeds
@every_shape
@alike_but_first("temperature", [4.0, 1.0])
def test_soft_cross_entropy_is_hintons_formula(temperature, shape, seed, dtype):
    teacher, student = draw(shape, seed)
    expected = soft_cross_entropy(teacher, student, temperature)
    loss = SoftCrossEntropyLoss(temperature=temperature, dtype=dtype, reduction=None)
    assert_formula(loss, expected, teacher, student, rounding=temperature**2)


def test_soft_cross_entropy_has_temperature_1_unless_told_even_inside_a_distiller():
    teacher, student = draw((3, 5))
    expected = soft_cross_entropy(teacher, student, 1.0).mean()
    assert run(SoftCrossEntropyLoss(), teacher, student) == pytest.approx(expected, rel=1e-5)
    told = run(SoftCrossEntropyLoss(), teacher, student, temperature=9.0)
    assert told == pytest.approx(expected, rel=1e-5)


def test_soft_cross_entropy_of_two_fair_dice_is_their_entropy():
    # p_t = p_s = 1/6 each: the cross-entropy is ln 6.
    loss = run(SoftCrossEntropyLoss(), np.zeros((2, 6)), np.full((2, 6), 3.0))
    assert loss == pytest.approx(np.log(6.0), rel=1e-6)


@in_both_dtypes
def test_soft_cross_entropy_is_exact_at_a_logit_gap_of_1000(dtype):
    # All of p_t on class 0, where log p_s = -1000: the value is 1000, the gradient p_s - p_t.
    teacher, student = np.array([[1000.0, 0.0]]), np.array([[0.0, 1000.0]])
    loss = SoftCrossEntropyLoss(dtype=dtype)
    assert run(loss, teacher, student) == pytest.approx(1000.0, rel=1e-6)
    slope = gradient(lambda z: loss(teacher, z), student, dtype)
    np.testing.assert_allclose(slope, [[-1.0, 1.0]], rtol=1e-6)


@two_seeds
def test_soft_cross_entropy_differs_from_kd_by_the_teachers_entropy_alone(seed):
    teacher, student = draw((4, 6), seed)
    kd = KDLoss(temperature=2.0, dtype="float64")
    soft = SoftCrossEntropyLoss(temperature=2.0, dtype="float64")
    entropy = soft_cross_entropy(teacher, teacher, 2.0).mean()
    difference = run(soft, teacher, student) - run(kd, teacher, student)
    assert difference == pytest.approx(entropy, rel=rounding(1e-12))
    np.testing.assert_allclose(
        gradient(lambda z: soft(teacher, z), student),
        gradient(lambda z: kd(teacher, z), student),
        atol=rounding(1e-14),
    )
