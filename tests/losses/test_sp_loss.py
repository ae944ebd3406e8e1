import numpy as np
import pytest
from contract import LossContract
from every_loss import assert_formula, draw, every_shape, in_both_dtypes, run, two_seeds
from gradients import gradient

from keras_kd.losses import SPLoss

pytestmark = pytest.mark.core


def similarity(value):
    flat = value.reshape(len(value), -1)
    gram = flat @ flat.T
    norm = np.linalg.norm(gram, axis=1, keepdims=True)
    return np.divide(gram, norm, out=np.zeros(gram.shape), where=norm > 0.0)


def sp(teacher, student):
    """Tung & Mori 2019: |G_s - G_t|_F^2 / B^2, as the mean over rows of each row's mean."""
    if len(teacher) == 1:
        return np.zeros(1)
    return ((similarity(student) - similarity(teacher)) ** 2).mean(axis=1)


@in_both_dtypes
@two_seeds
@every_shape
def test_sp_loss_is_the_papers_formula(shape, seed, dtype):
    teacher, student = draw(shape, seed)
    assert_formula(SPLoss(dtype=dtype, reduction=None), sp(teacher, student), teacher, student)


def test_sp_loss_compares_values_of_different_shapes():
    teacher, _ = draw((4, 2, 3, 5))
    _, student = draw((4, 7))
    assert_formula(SPLoss(reduction=None), sp(teacher, student), teacher, student)


def test_sp_loss_of_two_strangers_against_two_twins():
    # Rows (1, 0), (0, 1) against rows (1, 1) / sqrt 2: each differs by (1 - 1/sqrt 2)^2 + 1/2.
    expected = ((1.0 - 0.5**0.5) ** 2 + 0.5) / 2.0
    assert run(SPLoss(), np.eye(2), np.ones((2, 1))) == pytest.approx(expected, rel=1e-6)


@two_seeds
def test_sp_loss_permutes_with_the_batch_and_sees_no_rotation_or_scale(seed):
    teacher, student = draw((6, 4), seed)
    order = np.random.default_rng(seed).permutation(6)
    loss = SPLoss(reduction=None, dtype="float64")
    expected = run(loss, teacher, student)
    np.testing.assert_allclose(run(loss, teacher[order], student[order]), expected[order], 1e-4)
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(4, 4)))
    turned = run(loss, 1e-3 * teacher, 1e3 * student @ rotation)
    np.testing.assert_allclose(turned, expected, rtol=1e-4)


def test_sp_loss_leaves_padding_out():
    teacher, student = draw((3, 4, 2))
    mask = np.array([[True, True, False, False], [True] * 3 + [False], [False] * 4])
    kept = [value * mask[..., None] for value in (teacher, student)]
    loss = SPLoss(reduction=None)
    each = run(loss, teacher, student, mask=mask)
    np.testing.assert_allclose(each, sp(*kept), rtol=1e-4, atol=1e-7)
    longer = [np.concatenate([value, np.full((3, 2, 2), 9.0)], 1) for value in (teacher, student)]
    padded = run(loss, *longer, mask=np.pad(mask, ((0, 0), (0, 2))))
    np.testing.assert_allclose(padded, each, rtol=1e-5, atol=1e-7)
    assert (run(loss, teacher, student, mask=np.zeros((3, 4), bool)) == 0.0).all()


@pytest.mark.alike
def test_sp_loss_refuses_a_mask_of_other_positions():
    with pytest.raises(ValueError, match=r"mask=\(2, 3\), values=\(2, 4, 5\)"):
        SPLoss()(np.ones((2, 4, 5)), np.ones((2, 3, 5)), mask=np.ones((2, 3), bool))


def test_sp_loss_of_dead_samples_is_finite_with_a_finite_gradient():
    teacher, student = draw((3, 4))
    dead = student * np.array([[1.0], [0.0], [1.0]])
    for t, s in [(teacher, dead), (dead, student), (teacher, 0.0 * dead), (0.0 * dead, dead)]:
        np.testing.assert_allclose(run(SPLoss(reduction=None), t, s), sp(t, s), rtol=1e-4)
        assert np.isfinite(gradient(lambda z, t=t: SPLoss()(t, z), s, "float32")).all()


@pytest.mark.parametrize("student", [2.0, 0.0])
def test_sp_loss_of_one_sample_is_0_with_gradient_0(student):
    teacher, student = np.ones((1, 3)), np.full((1, 3), student)
    assert run(SPLoss(), teacher, student) == 0.0
    slope = gradient(lambda z: SPLoss()(teacher, z), student, "float32")
    np.testing.assert_array_equal(slope, np.zeros((1, 3)))


@pytest.mark.alike
def test_sp_loss_weighs_3000_unless_told():
    assert (SPLoss().weight, SPLoss(weight=1).weight) == (3000.0, 1.0)


class TestSPLoss(LossContract):
    make = SPLoss
    layers = {"stage2": "stage2"}

    def values(self, seed=0):
        return draw((4, 2, 3, 2), seed)
