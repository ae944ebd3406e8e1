import numpy as np
import pytest
from contract import LossContract
from every_loss import assert_formula, draw, in_both_dtypes, run, two_seeds
from gradients import gradient
from variants import alike_but_first

from keras_kd.losses import FSPLoss

pytestmark = pytest.mark.core


def pooled(features, stride):
    """Max pooling over blocks of a map."""
    b, h, w, c = features.shape
    return features.reshape(b, h // stride, stride, w // stride, stride, c).max(axis=(2, 4))


def flow(one, other):
    """Yim et al., eq. 1: G_ij = sum over positions of F1_i F2_j / (h w)."""
    one, other = (f.reshape(len(f), -1, f.shape[-1]) for f in (one, other))
    return np.einsum("bni,bnj->bij", one, other) / one.shape[1]


def fsp(teachers, students):
    """Yim et al., eq. 2: the sum over layers of |G_t - G_s|_2^2."""
    total = 0.0
    for k in range(len(teachers) - 1):
        difference = flow(teachers[k], teachers[k + 1]) - flow(students[k], students[k + 1])
        total = total + (difference**2).sum(axis=(1, 2))
    return total


def draw_layers(shapes, seed=0):
    drawn = [draw(shape, seed + number, scale=1.0) for number, shape in enumerate(shapes)]
    return [teacher for teacher, _ in drawn], [student for _, student in drawn]


class TestFSPLoss(LossContract):
    make = FSPLoss
    layers = {"stage1": "stage1", "stage2": "stage2"}

    def values(self, seed=0):
        return draw_layers([(2, 4, 2, 2), (2, 2, 2, 3)], seed)


@in_both_dtypes
@two_seeds
@alike_but_first(
    "shapes",
    [
        [(3, 2, 3, 4), (3, 2, 3, 5)],
        [(1, 4, 3), (1, 4, 3)],
        [(2, 5, 3), (2, 5, 2), (2, 5, 4)],
    ],
    ids=str,
)
def test_fsp_loss_is_the_papers_formula(shapes, seed, dtype):
    teachers, students = draw_layers(shapes, seed)
    loss = FSPLoss(dtype=dtype, reduction=None)
    assert_formula(loss, fsp(teachers, students), teachers, students)


@pytest.mark.parametrize("deeper_is_larger", [False, True])
def test_fsp_loss_max_pools_the_larger_map(deeper_is_larger):
    teachers, students = draw_layers([(2, 6, 4, 2), (2, 3, 2, 3)])
    expected = fsp([pooled(teachers[0], 2), teachers[1]], [pooled(students[0], 2), students[1]])
    if deeper_is_larger:  # G is transposed
        teachers, students = teachers[::-1], students[::-1]
    assert_formula(FSPLoss(reduction=None), expected, teachers, students)


@pytest.mark.alike
def test_fsp_loss_by_hand():
    # G_t = (1 * 3 + 2 * 4) / 2 = 5.5, G_s = (1 * 1 + 1 * 1) / 2 = 1: 4.5^2.
    teachers = [np.array([[[1.0], [2.0]]]), np.array([[[3.0], [4.0]]])]
    students = [np.ones((1, 2, 1)), np.ones((1, 2, 1))]
    assert run(FSPLoss(), teachers, students) == pytest.approx(20.25)


def test_fsp_loss_sees_neither_where_nor_the_sign_of_both_layers():
    teachers, students = draw_layers([(2, 6, 3), (2, 6, 4)])
    order = np.random.default_rng(0).permutation(6)
    changed = [-student[:, order] for student in students]
    expected = run(FSPLoss(), teachers, students)
    assert run(FSPLoss(), teachers, changed) == pytest.approx(expected, rel=1e-5)


def test_fsp_loss_of_zeros_is_finite_with_a_finite_gradient():
    teachers, students = draw_layers([(1, 4, 2), (1, 4, 2)])
    dead = np.zeros((1, 4, 2))
    slope = gradient(lambda z: FSPLoss()(teachers, [students[0], z]), dead, "float32")
    assert np.isfinite(slope).all()
    assert run(FSPLoss(), [dead, dead], [dead, dead]) == 0.0


@pytest.mark.parametrize("several", [True, False])
def test_fsp_loss_leaves_padding_out(several):
    teachers, students = draw_layers([(2, 4, 3), (2, 4, 2)])
    mask = np.array([[True, True, False, False], [False] * 4])
    expected = fsp(*([v[:1, :2] for v in values] for values in (teachers, students)))
    each = run(FSPLoss(reduction=None), teachers, students, mask=[mask, mask] if several else mask)
    np.testing.assert_allclose(each, [expected[0], 0.0], rtol=1e-5)


def test_fsp_loss_leaves_padding_out_where_it_pools():
    teachers, students = draw_layers([(2, 8, 3), (2, 4, 2)])
    masks = [np.arange(length) < length // 2 for length in (8, 4)]
    masks = [np.stack([mask, mask]) for mask in masks]
    expected = run(
        FSPLoss(reduction=None), *([a[:, :4], b[:, :2]] for a, b in (teachers, students))
    )
    each = run(FSPLoss(reduction=None), teachers, students, mask=masks)
    np.testing.assert_allclose(each, expected, rtol=1e-5)


@pytest.mark.alike
def test_fsp_loss_refuses_what_has_no_flow():
    one = np.ones((2, 4, 4, 3))
    with pytest.raises(ValueError, match=r"list at least two. Received: 1 pair"):
        FSPLoss()([one], [one])
    with pytest.raises(ValueError, match=r"one shape.*Received: teacher=\(2, 4, 4, 3\)"):
        FSPLoss()([one, one], [one, np.ones((2, 4, 4, 2))])
    with pytest.raises(ValueError, match=r"needs maps .*Received: student=\(2, 3\)"):
        FSPLoss()([one, np.ones((2, 3))], [one, np.ones((2, 3))])
    with pytest.raises(ValueError, match="layers of one rank"):
        FSPLoss()([one, np.ones((2, 4, 3))], [one, np.ones((2, 4, 3))])
    with pytest.raises(ValueError, match="No max pooling leads from size 4 to size 3"):
        FSPLoss()([one, np.ones((2, 3, 3, 3))], [one, np.ones((2, 3, 3, 3))])
