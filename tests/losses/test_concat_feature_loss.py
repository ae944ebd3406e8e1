import numpy as np
import pytest
from contract import LossContract
from every_loss import assert_formula, draw, in_both_dtypes, run, two_seeds
from formulas import per_sample
from gradients import gradient
from networks import adaptive_average, weights
from variants import alike_but_first

from keras_kd.losses import ConcatFeatureLoss

pytestmark = pytest.mark.core


def draw_layers(teacher_shapes, student_shapes, seed=0):
    return [
        [draw(shape, seed + number)[which] for number, shape in enumerate(shapes)]
        for which, shapes in enumerate((teacher_shapes, student_shapes))
    ]


def concatenated(teachers, students, part):
    """Both sides over channels, the student's through the projector's weights."""
    teacher, student = (np.concatenate(values, axis=-1) for values in (teachers, students))
    if part is not None:
        kernel, bias = weights(part)
        student = student @ kernel + bias
    return per_sample((student - teacher) ** 2)


def own_part(loss, teachers, students):
    run(loss, teachers, students)
    return loss._alone.parts[0]


class TestConcatFeatureLoss(LossContract):
    make = ConcatFeatureLoss
    layers = {"stage1": "stage1", "stage2": "stage2"}

    def values(self, seed=0):
        shapes = [(2, 4, 4, 1), (2, 2, 2, 2)]
        return draw_layers(shapes, shapes, seed)


@in_both_dtypes
@two_seeds
@alike_but_first(
    ("teacher_shapes", "student_shapes"),
    [
        ([(3, 2), (3, 5)], [(3, 4), (3, 3)]),
        ([(3, 2), (3, 5)], [(3, 4), (3, 4)]),
        ([(2, 4, 3), (2, 4, 2)], [(2, 4, 3), (2, 4, 3)]),
        ([(1, 2, 3, 3)], [(1, 2, 3, 1)]),
    ],
    ids=str,
)
def test_concat_feature_loss_is_its_formula(teacher_shapes, student_shapes, seed, dtype):
    teachers, students = draw_layers(teacher_shapes, student_shapes, seed)
    loss = ConcatFeatureLoss(dtype=dtype, reduction=None)
    part = own_part(loss, teachers, students)
    widths = [sum(shape[-1] for shape in shapes) for shapes in (teacher_shapes, student_shapes)]
    assert (part is None) == (widths[0] == widths[1])
    expected = concatenated(teachers, students, part)
    assert_formula(loss, expected, teachers, students, part=part)


@pytest.mark.alike
def test_concat_feature_loss_by_hand():
    # Squares 1, 4, 0 over three channels.
    teachers, students = [[[1.0]], [[2.0, 3.0]]], [[[0.0, 0.0]], [[3.0]]]
    each = run(ConcatFeatureLoss(), *([np.array(v) for v in x] for x in (teachers, students)))
    assert each == pytest.approx(5.0 / 3.0)


def test_concat_feature_loss_averages_to_the_smallest_resolution_that_is_listed():
    teachers, students = draw_layers([(2, 4, 6, 2), (2, 4, 3, 3)], [(2, 5, 6, 1), (2, 3, 3, 4)])
    loss = ConcatFeatureLoss(reduction=None)
    small = [[adaptive_average(v, (3, 3)) for v in values] for values in (teachers, students)]
    assert_formula(loss, concatenated(*small, None), teachers, students)


def test_the_order_of_a_model_s_layers_matters_only_to_the_projector():
    teachers, students = draw_layers([(2, 3), (2, 3)], [(2, 3), (2, 3)])
    swapped = run(ConcatFeatureLoss(), teachers[::-1], students[::-1])
    assert swapped == pytest.approx(run(ConcatFeatureLoss(), teachers, students), rel=1e-6)


def test_concat_feature_loss_of_zeros_has_a_finite_gradient():
    teachers, students = draw_layers([(1, 3)], [(1, 2)])
    loss = ConcatFeatureLoss()
    run(loss, teachers, students)
    assert np.isfinite(gradient(lambda z: loss(teachers, [z]), np.zeros((1, 2)), "float32")).all()


@pytest.mark.parametrize("several", [True, False])
def test_concat_feature_loss_leaves_padding_out(several):
    teachers, students = draw_layers([(2, 4, 3), (2, 4, 2)], [(2, 4, 3), (2, 4, 2)])
    mask = np.array([[True, True, False, False], [False] * 4])
    expected = concatenated(*([v[:1, :2] for v in x] for x in (teachers, students)), None)
    given = [mask, mask] if several else mask
    each = run(ConcatFeatureLoss(reduction=None), teachers, students, mask=given)
    np.testing.assert_allclose(each, [expected[0], 0.0], rtol=1e-5)


def test_concat_feature_loss_leaves_padding_out_where_it_averages():
    teachers, students = draw_layers([(2, 8, 3), (2, 4, 2)], [(2, 8, 3), (2, 4, 2)])
    masks = [np.stack([np.arange(n) < n // 2] * 2) for n in (8, 4)]
    loss = ConcatFeatureLoss(reduction=None)
    expected = run(loss, *([a[:, :4], b[:, :2]] for a, b in (teachers, students)))
    each = run(loss, teachers, students, mask=masks)
    np.testing.assert_allclose(each, expected, rtol=1e-5)
    with pytest.raises(ValueError, match=r"mask does not fit .*Received: teacher=\(2, 4, 2\)"):
        loss(teachers[::-1], students, mask=masks)


@pytest.mark.alike
def test_concat_feature_loss_refuses_values_of_different_rank():
    with pytest.raises(ValueError, match=r"values of one rank.*Received: shapes=\[\(2, 3\)"):
        ConcatFeatureLoss()([np.ones((2, 3))], [np.ones((2, 4, 3))])
    with pytest.raises(ValueError, match=r"values of one rank"):
        ConcatFeatureLoss()([np.ones(2)], [np.ones(2)])
