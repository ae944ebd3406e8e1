import numpy as np
import pytest
from contract import LossContract
from every_loss import assert_formula, draw, every_map_shape, in_both_dtypes, run, two_seeds
from gradients import gradient

from keras_kd.losses import ICKDLoss

pytestmark = pytest.mark.core


def correlation(value):
    """Inner products of one sample's channels, each row over its norm."""
    flat = value.reshape(-1, value.shape[-1])
    gram = flat.T @ flat
    norm = np.linalg.norm(gram, axis=1, keepdims=True)
    return np.divide(gram, norm, out=np.zeros(gram.shape), where=norm > 0.0)


def ickd(teacher, student):
    """Liu et al. 2021, scaled as in the authors' code."""
    pairs = zip(teacher, student, strict=True)
    squares = [((correlation(s) - correlation(t)) ** 2).sum() for t, s in pairs]
    return np.array(squares) / teacher.shape[-1]


@in_both_dtypes
@two_seeds
@every_map_shape
def test_ickd_loss_is_the_papers_formula(shape, seed, dtype):
    teacher, student = draw(shape, seed)
    loss = ICKDLoss(dtype=dtype, reduction=None)
    assert_formula(loss, ickd(teacher, student), teacher, student)


def test_ickd_loss_of_channels_apart_against_twins():
    # Rows (1, 0), (0, 1) against rows (1, 1) / sqrt 2.
    teacher, student = np.eye(2)[None], np.ones((1, 2, 2))
    expected = (1.0 - 0.5**0.5) ** 2 + 0.5
    assert run(ICKDLoss(), teacher, student) == pytest.approx(expected, rel=1e-6)


@two_seeds
def test_ickd_loss_sees_neither_scale_nor_the_order_of_positions(seed):
    teacher, student = draw((2, 3, 4, 5), seed)
    order = np.random.default_rng(seed).permutation(4)
    loss = ICKDLoss(reduction=None, dtype="float64")
    moved = run(loss, 1e3 * teacher[:, ::-1], 1e-3 * student[:, :, order])
    np.testing.assert_allclose(moved, run(loss, teacher, student), rtol=1e-4)


@two_seeds
def test_ickd_loss_permutes_with_the_batch_and_with_the_channels_of_both(seed):
    teacher, student = draw((4, 3, 5), seed)
    loss = ICKDLoss(reduction=None)
    each = run(loss, teacher, student)
    order = np.random.default_rng(seed).permutation(4)
    np.testing.assert_allclose(run(loss, teacher[order], student[order]), each[order], rtol=1e-4)
    order = np.random.default_rng(seed).permutation(5)
    swapped = run(loss, teacher[..., order], student[..., order])
    np.testing.assert_allclose(swapped, each, rtol=1e-4)
    assert np.abs(run(loss, teacher, student[..., order]) - each).max() > 1e-2


def test_ickd_loss_leaves_padding_out():
    teacher, student = draw((3, 4, 2))
    mask = np.array([[True, True, False, False], [True] * 3 + [False], [False] * 4])
    kept = [value * mask[..., None] for value in (teacher, student)]
    loss = ICKDLoss(reduction=None)
    each = run(loss, teacher, student, mask=mask)
    np.testing.assert_allclose(each, ickd(*kept), rtol=1e-4)
    assert each[2] == 0.0
    longer = [np.concatenate([value, np.full((3, 2, 2), 9.0)], 1) for value in (teacher, student)]
    padded = run(loss, *longer, mask=np.pad(mask, ((0, 0), (0, 2))))
    np.testing.assert_allclose(padded, each, rtol=1e-5)


def test_ickd_loss_of_dead_channels_is_finite_with_a_finite_gradient():
    teacher, student = draw((2, 3, 3, 4))
    dead = student * np.array([1.0, 0.0, 1.0, 1.0])
    for t, s in [(teacher, dead), (dead, student), (teacher, 0.0 * dead), (0.0 * dead, dead)]:
        np.testing.assert_allclose(run(ICKDLoss(reduction=None), t, s), ickd(t, s), rtol=1e-4)
        assert np.isfinite(gradient(lambda z, t=t: ICKDLoss()(t, z), s, "float32")).all()


@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((2, 4, 3), (2, 4, 5))], ids=str)
def test_ickd_loss_wants_maps_of_one_width(shapes):
    with pytest.raises(ValueError, match=r"needs maps .* of one width. Received: teacher=\(2"):
        ICKDLoss()(*(np.ones(shape) for shape in shapes))


@pytest.mark.alike
def test_ickd_loss_weighs_2_and_a_half_unless_told():
    assert (ICKDLoss().weight, ICKDLoss(weight=1).weight) == (2.5, 1.0)


class TestICKDLoss(LossContract):
    make = ICKDLoss
    layers = {"stage2": "stage2"}

    def values(self, seed=0):
        return draw((2, 3, 2, 4), seed)
