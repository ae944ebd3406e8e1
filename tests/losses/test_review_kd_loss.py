import numpy as np
import pytest
from contract import LossContract
from every_loss import assert_formula, draw, in_both_dtypes, run, two_seeds
from formulas import sigmoid
from gradients import gradient
from networks import adaptive_average, convolution, row, shake, weights

from keras_kd.losses import ReviewKDLoss

pytestmark = pytest.mark.core


def draw_stages(teacher_shapes, student_shapes, seed=0):
    return [
        [draw(shape, seed + number, scale=1.0)[which] for number, shape in enumerate(shapes)]
        for which, shapes in enumerate((teacher_shapes, student_shapes))
    ]


def nearest(value, sizes):
    rows, columns = (np.arange(n) * m // n for n, m in zip(sizes, value.shape[1:3], strict=True))
    return value[:, rows][:, :, columns]


def hierarchical(fused, teacher):
    """Chen et al., section 3.4, weights as in their code: full size, 4, 2 and 1."""

    def error(size):
        pair = fused, teacher
        if size is not None:
            pair = (adaptive_average(v, (size, size)) for v in pair)
        one, other = pair
        return ((one - other) ** 2).mean(axis=(1, 2, 3))

    sizes = [None, *(size for size in (4, 2, 1) if size < min(teacher.shape[1:3]))]
    shares = 0.5 ** np.arange(len(sizes))
    return sum(w * error(size) for w, size in zip(shares, sizes, strict=True)) / shares.sum()


def review(teachers, students, part):
    """Chen et al., eq. 8: from the deepest stage, fusing what came from behind."""
    total, residual = 0.0, None
    for number in reversed(range(len(students))):
        value = row(part.reduce[number], students[number])
        if residual is not None:
            residual = nearest(residual, value.shape[1:3])
            kernel, bias = weights(part.attend[number])
            maps = sigmoid(convolution(np.concatenate([value, residual], -1), kernel) + bias)
            value = value * maps[..., [0]] + residual * maps[..., [1]]
        residual = nearest(value, teachers[number].shape[1:3])
        total = total + hierarchical(row(part.expand[number], residual), teachers[number])
    return total


class TestReviewKDLoss(LossContract):
    make = ReviewKDLoss
    layers = {"stage1": "stage1", "stage2": "stage2"}
    equal_is_zero = False

    def values(self, seed=0):
        shapes = [(2, 3, 3, 2), (2, 2, 2, 2)]
        return draw_stages(shapes, shapes, seed)


@in_both_dtypes
@two_seeds
@pytest.mark.parametrize(
    ("teacher_shapes", "student_shapes"),
    [
        ([(2, 8, 8, 3), (2, 4, 4, 5), (2, 1, 1, 6)], [(2, 8, 8, 2), (2, 4, 4, 3), (2, 1, 1, 4)]),
        ([(1, 6, 4, 3), (1, 3, 2, 5)], [(1, 3, 8, 2), (1, 5, 2, 3)]),
        ([(2, 5, 5, 2)], [(2, 5, 5, 2)]),
    ],
    ids=str,
)
@pytest.mark.alike
def test_review_kd_loss_is_the_papers_method(teacher_shapes, student_shapes, seed, dtype):
    teachers, students = draw_stages(teacher_shapes, student_shapes, seed)
    loss = ReviewKDLoss(mid_channels=4, dtype=dtype, reduction=None)
    run(loss, teachers, students)
    part = shake(loss._alone.parts[0], seed)
    assert_formula(loss, review(teachers, students, part), teachers, students, part=part)


def test_the_hierarchy_of_a_constant_difference_is_its_square():
    # A fusion of zeros gives zeros; 3^2 at every size, whose weights sum to one.
    teachers, students = [np.full((1, 8, 8, 2), 3.0)], [np.zeros((1, 8, 8, 2))]
    assert run(ReviewKDLoss(), teachers, students) == pytest.approx(9.0, rel=1e-6)


def test_what_averages_away_counts_only_where_it_is_not_averaged():
    # Stripes of +-1 are 1 at full size, 8; 0 at 4, 2 and 1: 1 / (1 + 1/2 + 1/4 + 1/8).
    stripes = np.ones((1, 8, 8, 1))
    stripes[:, ::2] = -1.0
    loss = run(ReviewKDLoss(), [stripes], [np.zeros((1, 8, 8, 2))])
    assert loss == pytest.approx(8.0 / 15.0, rel=1e-6)


@pytest.mark.alike
def test_deeper_stages_learn_from_the_teachers_shallow_ones():
    shapes = [(1, 4, 4, 2), (1, 2, 2, 3)]
    teachers, students = draw_stages(shapes, shapes)
    loss = ReviewKDLoss()
    run(loss, teachers, students)

    def slope(teacher):
        return gradient(lambda z: loss([teacher, teachers[1]], [students[0], z]), students[1])

    assert np.abs(slope(teachers[0]) - slope(-teachers[0])).max() > 1e-4


@pytest.mark.parametrize(("mid", "width"), [(None, 3), (7, 7)])
@pytest.mark.alike
def test_the_fusion_is_as_wide_as_the_deepest_map_unless_told(mid, width):
    part = ReviewKDLoss(mid).make_part(
        [(None, 4, 4, 2), (None, 2, 2, 8)], [(None, 4, 4, 2), (None, 2, 2, 3)]
    )
    assert [stack.output_width for stack in part.reduce] == [width, width]
    assert [stack.output_width for stack in part.expand] == [2, 8]


def test_review_kd_loss_of_dead_maps_has_a_finite_gradient():
    teachers, _ = draw_stages([(1, 4, 4, 2)], [])
    loss, dead = ReviewKDLoss(), np.zeros((1, 4, 4, 3))
    run(loss, teachers, [dead])
    assert np.isfinite(gradient(lambda z: loss(teachers, [z]), dead, "float32")).all()


def test_review_kd_loss_refuses_what_is_no_map():
    with pytest.raises(ValueError, match=r"needs maps .*Received: teacher=\[\(2, 4, 3\)\]"):
        ReviewKDLoss()([np.ones((2, 4, 3))], [np.ones((2, 4, 3))])
    one = np.ones((2, 4, 4, 3))
    with pytest.raises(ValueError, match=r"no place for a mask.*Received: a mask"):
        ReviewKDLoss()([one], [one], mask=[np.ones((2, 4, 4), bool)])


@pytest.mark.parametrize("wrong", [0, 1.5, True])
def test_a_wrong_width_is_refused(wrong):
    with pytest.raises((TypeError, ValueError), match=r"`mid_channels` must be .* Received: "):
        ReviewKDLoss(wrong)


def test_review_kd_loss_width_comes_back():
    assert ReviewKDLoss.from_config(ReviewKDLoss(6).get_config()).mid_channels == 6
