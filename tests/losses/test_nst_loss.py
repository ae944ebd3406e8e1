import numpy as np
import pytest
from contract import LossContract
from every_loss import assert_formula, draw, every_map_shape, in_both_dtypes, run, two_seeds
from gradients import assert_gradient, gradient
from variants import alike_but_first

from keras_kd.losses import NSTLoss

pytestmark = pytest.mark.core


def unit_channels(features):
    """Channels as unit vectors over positions: (C, N)."""
    channels = features.reshape(-1, features.shape[-1]).T
    return channels / np.linalg.norm(channels, axis=1, keepdims=True)


def nst(teacher, student):
    """Huang & Wang, eq. 4 and 6: MMD^2 with k(x, y) = (x . y)^2, pair by pair."""

    def mean_kernel(one, other):
        return np.mean([[np.dot(x, y) ** 2 for y in other] for x in one])

    each = []
    for t, s in zip(teacher, student, strict=True):
        t, s = unit_channels(t), unit_channels(s)
        each.append(mean_kernel(t, t) + mean_kernel(s, s) - 2.0 * mean_kernel(t, s))
    return np.array(each)


class TestNSTLoss(LossContract):
    make = NSTLoss
    layers = {"stage1": "stage1"}

    def values(self, seed=0):
        return draw((2, 3, 3, 2), seed)


@in_both_dtypes
@two_seeds
@every_map_shape
def test_nst_loss_is_the_papers_formula(shape, seed, dtype):
    teacher, student = draw(shape, seed)
    loss = NSTLoss(dtype=dtype, reduction=None)
    assert_formula(loss, nst(teacher, student), teacher, student)


@pytest.mark.alike
@pytest.mark.parametrize("widths", [(7, 3), (3, 7), (1, 2), (20, 5)])
def test_nst_loss_compares_models_of_different_width(widths):
    (teacher, _), (_, student) = (draw((2, 3, 2, width)) for width in widths)
    loss = NSTLoss(reduction=None)
    assert_formula(loss, nst(teacher, student), teacher, student)


@pytest.mark.alike
def test_nst_loss_of_channels_that_look_elsewhere():
    # k is 1 within each model and 0 between them: 1 + 1 - 0.
    teacher, student = np.zeros((1, 2, 2, 1)), np.zeros((1, 2, 2, 1))
    teacher[0, 0, 0], student[0, 0, 1] = 3.0, 5.0
    assert run(NSTLoss(), teacher, student) == pytest.approx(2.0)


@pytest.mark.parametrize("shape", [(2, 3, 3, 2), (2, 2, 2, 7)])
def test_nst_loss_sees_neither_scale_nor_sign_nor_order_of_channels(shape):
    teacher, student = draw(shape)
    rng = np.random.default_rng(3)
    scale = rng.uniform(0.01, 100.0, shape[-1]) * rng.choice([-1.0, 1.0], shape[-1])
    changed = (scale * student)[..., rng.permutation(shape[-1])]
    expected = run(NSTLoss(), teacher, student)
    assert run(NSTLoss(), teacher, changed) == pytest.approx(expected, rel=1e-4)
    assert run(NSTLoss(), changed, student) == pytest.approx(0.0, abs=1e-6)


@alike_but_first("shape", [(1, 3, 3, 2), (1, 2, 2, 7)])
def test_nst_loss_of_dead_channels_is_finite_with_a_finite_gradient(shape):
    teacher, student = draw(shape)
    student[..., 0] = 0.0
    for value in (student, np.zeros(shape)):
        assert np.isfinite(run(NSTLoss(), teacher, value))
        slope = gradient(lambda z: NSTLoss()(teacher, z), value, "float32")
        assert np.isfinite(slope).all()
    assert run(NSTLoss(), np.zeros(shape), np.zeros(shape)) == 0.0


def test_nst_loss_gradient_of_other_widths_equals_central_differences():
    (teacher, _), (_, student) = draw((2, 3, 4)), draw((2, 3, 2))
    loss = NSTLoss(dtype="float64")
    assert_gradient(lambda z: loss(teacher, z), student)


def test_nst_loss_leaves_padding_out():
    teacher, student = draw((2, 5, 3))
    mask = np.array([[True, True, True, False, False], [False] * 5])
    expected = [nst(teacher[:1, :3], student[:1, :3])[0], 0.0]
    each = run(NSTLoss(reduction=None), teacher, student, mask=mask)
    np.testing.assert_allclose(each, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.alike
def test_nst_loss_needs_positions_that_are_the_same():
    with pytest.raises(ValueError, match=r"needs maps .* Received: student=\(2, 3\)"):
        NSTLoss()(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"same positions.*Received: teacher=\(2, 4, 4, 8\)"):
        NSTLoss()(np.ones((2, 4, 4, 8)), np.ones((2, 2, 2, 8)))


@pytest.mark.alike
def test_nst_loss_weighs_50_unless_told():
    assert NSTLoss().weight == 50.0
    assert NSTLoss(weight=1).weight == 1.0
