import numpy as np
import pytest
from contract import LossContract
from every_loss import assert_formula, draw, every_shape, in_both_dtypes, run, two_seeds
from formulas import per_sample
from gradients import gradient

from keras_kd.losses import PKDLoss

pytestmark = pytest.mark.core


def patient(teacher, student):
    """Sun et al., eq. 7: |h_s / |h_s| - h_t / |h_t||^2, the mean over positions."""
    unit_t, unit_s = (h / np.linalg.norm(h, axis=-1, keepdims=True) for h in (teacher, student))
    return per_sample((np.linalg.norm(unit_s - unit_t, axis=-1) ** 2)[:, None])


class TestPKDLoss(LossContract):
    make = PKDLoss
    layers = {"pool": "pool"}


@in_both_dtypes
@two_seeds
@every_shape
def test_pkd_loss_is_the_papers_formula(shape, seed, dtype):
    teacher, student = draw(shape, seed)
    loss = PKDLoss(dtype=dtype, reduction=None)
    assert_formula(loss, patient(teacher, student), teacher, student)


@pytest.mark.alike
def test_pkd_loss_of_a_right_angle_is_2_and_of_opposites_4():
    one, other = np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[0.0, 5.0], [-3.0, -3.0]])
    np.testing.assert_allclose(run(PKDLoss(reduction=None), one, other), [2.0, 4.0], rtol=1e-6)


@pytest.mark.alike
@pytest.mark.parametrize("scale", [1e-20, 1e-3, 1e6, 1e20])
def test_pkd_loss_does_not_see_how_long_the_vectors_are(scale):
    teacher, student = draw((3, 5))
    expected = run(PKDLoss(), teacher, student)
    assert run(PKDLoss(), scale * teacher, student) == pytest.approx(expected, rel=1e-5)
    assert run(PKDLoss(), teacher, scale * student) == pytest.approx(expected, rel=1e-5)


def test_pkd_loss_of_zeros_is_finite_with_a_finite_gradient():
    teacher, _ = draw((1, 5))
    dead = np.zeros((1, 5))
    assert run(PKDLoss(), teacher, dead) == pytest.approx(1.0)
    assert run(PKDLoss(), dead, dead) == 0.0
    slope = gradient(lambda z: PKDLoss()(teacher, z), dead, "float32")
    assert np.isfinite(slope).all()


def test_pkd_loss_leaves_padding_out():
    teacher, student = draw((2, 4, 5))
    mask = np.array([[True, True, False, False], [False] * 4])
    expected = [patient(teacher[:1, :2], student[:1, :2])[0], 0.0]
    np.testing.assert_allclose(
        run(PKDLoss(reduction=None), teacher, student, mask=mask), expected, rtol=1e-5
    )


@pytest.mark.alike
@pytest.mark.parametrize("student", [(2, 4), (2, 3, 5)])
def test_pkd_loss_refuses_other_shapes(student):
    with pytest.raises(ValueError, match=r"one shape.*Received: teacher=\(2, 5\), student="):
        PKDLoss()(np.ones((2, 5)), np.ones(student))


def test_pkd_loss_needs_vectors():
    with pytest.raises(ValueError, match=r"hidden states .*Received: student=\(2,\)"):
        PKDLoss()(np.ones(2), np.ones(2))
