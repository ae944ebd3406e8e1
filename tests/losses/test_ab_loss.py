import numpy as np
import pytest
from contract import LossContract
from every_loss import assert_formula, draw, every_shape, in_both_dtypes, run, two_seeds
from formulas import per_sample
from gradients import gradient
from variants import alike_but_first

from keras_kd.features import Tap
from keras_kd.losses import ABLoss

pytestmark = pytest.mark.core


def boundaries(teacher, student, margin):
    """Heo et al. 2019, eq. 5: |rho(t) relu(m - s) + (1 - rho(t)) relu(m + s)|^2 / neurons."""
    active = (teacher > 0.0).astype("float64")
    shortfall = active * np.maximum(margin - student, 0.0)
    shortfall += (1.0 - active) * np.maximum(margin + student, 0.0)
    return per_sample(shortfall**2)


class TestABLoss(LossContract):
    make = ABLoss
    layers = {Tap("stage2", side="input"): "pre2"}
    equal_is_zero = False


@in_both_dtypes
@two_seeds
@every_shape
@alike_but_first("margin", [1.0, 3.0])
def test_ab_loss_is_the_papers_formula(margin, shape, seed, dtype):
    teacher, student = draw(shape, seed)
    loss = ABLoss(margin, dtype=dtype, reduction=None)
    assert_formula(loss, boundaries(teacher, student, margin), teacher, student)


@pytest.mark.alike
def test_ab_loss_by_hand():
    # Right by more than the margin 0; right by 0.5: 0.25; wrong by 1: 4; a teacher at 0 is off: 1.
    teacher, student = np.array([[5.0, -0.1, 2.0, 0.0]]), np.array([[1.5, -0.5, -1.0, 0.0]])
    assert run(ABLoss(), teacher, student) == pytest.approx((0.0 + 0.25 + 4.0 + 1.0) / 4)


def test_ab_loss_sees_only_the_side_that_the_teacher_is_on():
    teacher, student = draw((3, 4, 5))
    expected = run(ABLoss(), teacher, student)
    assert run(ABLoss(), 1e-3 * teacher, student) == expected
    assert run(ABLoss(), np.sign(teacher), student) == expected
    # A student on the teacher's side by the margin has nothing to learn.
    assert run(ABLoss(), teacher, np.sign(teacher)) == 0.0
    slope = gradient(lambda z: ABLoss()(teacher, z), 3.0 * np.sign(teacher), "float32")
    assert not slope.any()


def test_ab_loss_of_zeros_pushes_each_neuron_to_its_side():
    teacher = np.array([[1.0, -1.0]])
    slope = gradient(lambda z: ABLoss()(teacher, z), np.zeros((1, 2)), "float32")
    np.testing.assert_allclose(slope, [[-1.0, 1.0]])


def test_ab_loss_leaves_padding_out():
    teacher, student = draw((2, 4, 3))
    mask = np.array([[True, True, False, False], [False] * 4])
    expected = [boundaries(teacher[:1, :2], student[:1, :2], 1.0)[0], 0.0]
    each = run(ABLoss(reduction=None), teacher, student, mask=mask)
    np.testing.assert_allclose(each, expected, rtol=1e-5)


@pytest.mark.alike
def test_ab_loss_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"one shape.*Received: teacher=\(2, 4\), student="):
        ABLoss()(np.ones((2, 4)), np.ones((2, 3)))


@pytest.mark.alike
@pytest.mark.parametrize("wrong", [0.0, -1.0, np.inf])
def test_a_margin_that_is_not_above_0_is_refused(wrong):
    with pytest.raises(ValueError, match=r"`margin` must be .* Received: margin="):
        ABLoss(margin=wrong)


def test_ab_loss_margin_comes_back():
    assert ABLoss.from_config(ABLoss(2.0).get_config()).margin == 2.0
