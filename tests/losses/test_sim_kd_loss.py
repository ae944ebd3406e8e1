import numpy as np
import pytest
from contract import LossContract
from every_loss import assert_formula, draw, in_both_dtypes, run, two_seeds
from formulas import per_sample
from gradients import gradient
from networks import adaptive_average, row, shake
from variants import alike_but_first

from keras_kd.losses import SimKDLoss

pytestmark = pytest.mark.core


def draw_pair(teacher, student, seed=0):
    return draw(teacher, seed)[0], draw(student, seed)[1]


def with_part(loss, teacher, student):
    run(loss, teacher, student)
    return shake(loss._alone.parts[0])


def reused(teacher, student, part):
    """Chen et al., eq. 2: the squared distance of the projected features, as a mean."""
    return per_sample((row(part, student) - teacher) ** 2)


class TestSimKDLoss(LossContract):
    make = SimKDLoss
    layers = {"stage2": "stage2"}
    equal_is_zero = False

    def values(self, seed=0):
        return draw_pair((2, 2, 2, 4), (2, 2, 2, 3), seed)


@in_both_dtypes
@two_seeds
@alike_but_first("shape", [(2, 3, 4, 5), (3, 4, 4), (4, 6)], ids=str)
def test_sim_kd_loss_is_the_papers_formula(shape, seed, dtype):
    teacher, student = draw_pair(shape, (*shape[:-1], 3), seed)
    loss = SimKDLoss(dtype=dtype, reduction=None)
    part = with_part(loss, teacher, student)
    assert_formula(loss, reused(teacher, student, part), teacher, student, part=part)


@pytest.mark.alike
@pytest.mark.parametrize("sizes", [((2, 3), (4, 6)), ((4, 6), (2, 3)), ((5, 2), (3, 4))], ids=str)
def test_sim_kd_loss_averages_the_larger_map(sizes):
    teacher, student = draw_pair((2, *sizes[0], 4), (2, *sizes[1], 3))
    small = tuple(min(pair) for pair in zip(*sizes, strict=True))
    loss = SimKDLoss(reduction=None)
    part = with_part(loss, teacher, student)
    expected = reused(adaptive_average(teacher, small), adaptive_average(student, small), part)
    assert_formula(loss, expected, teacher, student, part=part)


def test_sim_kd_loss_of_a_silent_student_is_the_teachers_mean_square():
    assert run(SimKDLoss(), np.full((1, 2, 2, 4), 3.0), np.zeros((1, 2, 2, 3))) == 9.0


@pytest.mark.parametrize(("factor", "narrow"), [(2, 4), (1, 8), (3, 2), (100, 1)])
@pytest.mark.alike
def test_the_projector_is_narrow_in_the_middle(factor, narrow):
    part = SimKDLoss(factor).make_part((None, 4, 4, 8), (None, 4, 4, 3))
    kernels = [w.shape for w in part.weights if w.name == "kernel"]
    assert kernels == [(1, 1, 3, narrow), (3, 3, narrow, narrow), (1, 1, narrow, 8)]


def test_sim_kd_loss_of_dead_maps_has_a_finite_gradient():
    teacher, student = draw_pair((1, 2, 2, 4), (1, 2, 2, 3))
    loss = SimKDLoss()
    run(loss, teacher, student)
    slope = gradient(lambda z: loss(teacher, z), 0.0 * student, "float32")
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("shape", [(2, 4, 4), (2, 4, 3, 4)], ids=str)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.alike
def test_sim_kd_loss_leaves_padding_out(shape, training):
    teacher, student = draw_pair(shape, (*shape[:-1], 3))
    loss = SimKDLoss(reduction=None)
    mask = np.zeros(shape[:-1], bool)
    mask[:, :2] = True
    context = {"part": with_part(loss, teacher, student), "training": training}
    values = [
        run(loss, teacher[:, :n], student[:, :n], mask=mask[:, :n], **context) for n in (2, 3, 4)
    ]
    np.testing.assert_allclose(values[1:], [values[0]] * 2, rtol=1e-5)
    nothing = run(loss, teacher, student, mask=np.zeros(shape[:-1], bool), **context)
    np.testing.assert_array_equal(nothing, np.zeros(2))


@pytest.mark.alike
def test_sim_kd_loss_refuses_other_ranks_and_padding_that_would_be_averaged():
    with pytest.raises(ValueError, match=r"one rank.*Received: teacher=\(2, 3\), student="):
        SimKDLoss()(np.ones((2, 3)), np.ones((2, 4, 3)))
    with pytest.raises(ValueError, match=r"same positions. Received: a mask, teacher=\(2, 2, 3\)"):
        SimKDLoss()(np.ones((2, 2, 3)), np.ones((2, 4, 3)), mask=np.ones((2, 4), bool))


@pytest.mark.alike
@pytest.mark.parametrize("wrong", [0.5, 0.0, np.nan])
def test_a_factor_below_1_is_refused(wrong):
    with pytest.raises(ValueError, match=r"`factor` must be .* Received: factor="):
        SimKDLoss(wrong)


def test_sim_kd_loss_factor_comes_back():
    assert SimKDLoss.from_config(SimKDLoss(4).get_config()).factor == 4.0
