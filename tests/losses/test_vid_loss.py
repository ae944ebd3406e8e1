import numpy as np
import pytest
from contract import LossContract
from every_loss import assert_formula, draw, in_both_dtypes, run, two_seeds
from formulas import per_sample
from gradients import gradient
from keras import ops
from variants import alike_but_first

from keras_kd.losses import VIDLoss

pytestmark = pytest.mark.core


def numbers(part):
    return [np.asarray(w.numpy(), "float64") for w in part.weights]


def variational(teacher, student, part, eps=1e-5):
    """Ahn et al., eq. 5 and 6, with the part's weights; the mean over positions and channels."""
    scale, *kernels = numbers(part)
    mean = student
    for number, kernel in enumerate(kernels):
        mean = np.tensordot(mean, kernel, 1)
        mean = np.maximum(mean, 0.0) if number < 2 else mean
    variance = np.log1p(np.exp(scale)) + eps
    return per_sample(np.log(np.sqrt(variance)) + (teacher - mean) ** 2 / (2.0 * variance))


def with_part(loss, teacher, student):
    """The loss' own part, with variances that differ."""
    run(loss, teacher, student)
    part = loss._alone.parts[0]
    part.log_scale.assign(np.linspace(-2.0, 3.0, teacher.shape[-1]))
    return part


class TestVIDLoss(LossContract):
    make = VIDLoss
    layers = {"stage2": "stage2"}
    equal_is_zero = False
    pull = 40.0  # most of it is the logarithm of a variance that begins too large

    def values(self, seed=0):
        return draw((3, 2, 2, 3), seed)[0], draw((3, 2, 2, 4), seed)[1]


@in_both_dtypes
@two_seeds
@alike_but_first("shape", [(2, 2, 3, 4), (4, 3), (2, 3, 5)], ids=str)
def test_vid_loss_is_the_papers_formula(shape, seed, dtype):
    teacher, student = draw(shape, seed)[0], draw((*shape[:-1], 6), seed)[1]
    loss = VIDLoss(dtype=dtype, reduction=None)
    part = with_part(loss, teacher, student)
    expected = variational(teacher, student, part)
    assert_formula(loss, expected, teacher, student, rounding=10.0, part=part)


@pytest.mark.alike
def test_vid_loss_of_a_silent_student_by_hand():
    # mu(0) = 0: 1/2 (9 / 4 + log 4).
    loss = VIDLoss(initial_variance=4.0)
    value = run(loss, np.full((1, 2, 2, 3), 3.0), np.zeros((1, 2, 2, 5)))
    assert value == pytest.approx(0.5 * (9.0 / 4.0 + np.log(4.0)), rel=1e-6)


@pytest.mark.parametrize("variance", [2e-5, 1e-3, 1.0, 5.0, 200.0])
def test_vid_loss_begins_at_the_variance_asked_for(variance):
    part = VIDLoss(variance).make_part((None, 3), (None, 2))
    _, found = part(np.zeros((1, 2), "float32"))
    np.testing.assert_allclose(ops.convert_to_numpy(found), [variance] * 3, rtol=1e-4)


def test_vid_loss_is_least_at_the_variance_of_the_errors():
    # d/dvar of (e^2 / var + log var) is 0 at var = e^2: 1/2 (1 + log e^2) there, more elsewhere.
    teacher, student = np.full((1, 1), 2.0), np.zeros((1, 1))
    least = run(VIDLoss(4.0), teacher, student)
    assert least == pytest.approx(0.5 * (1.0 + np.log(4.0)), rel=1e-5)
    assert run(VIDLoss(3.0), teacher, student) > least < run(VIDLoss(5.0), teacher, student)


def test_vid_loss_of_a_dead_map_has_a_finite_gradient():
    teacher, _ = draw((1, 2, 2, 3))
    loss = VIDLoss()
    run(loss, teacher, np.zeros((1, 2, 2, 4)))
    slope = gradient(lambda z: loss(teacher, z), np.zeros((1, 2, 2, 4)), "float32")
    assert np.isfinite(slope).all()


def test_vid_loss_leaves_padding_out():
    teacher, student = draw((2, 4, 3))
    loss = VIDLoss(reduction=None)
    part = with_part(loss, teacher, student)
    mask = np.array([[True, True, False, False], [False] * 4])
    expected = [variational(teacher[:1, :2], student[:1, :2], part)[0], 0.0]
    each = run(loss, teacher, student, mask=mask, part=part)
    np.testing.assert_allclose(each, expected, rtol=1e-5)


@pytest.mark.alike
def test_vid_loss_refuses_other_positions():
    with pytest.raises(ValueError, match=r"same positions.*Received: teacher=\(2, 4, 4, 8\)"):
        VIDLoss()(np.ones((2, 4, 4, 8)), np.ones((2, 2, 2, 8)))


@pytest.mark.alike
@pytest.mark.parametrize("wrong", [{"initial_variance": 1e-5}, {"eps": 0.0}, {"eps": 6.0}])
def test_wrong_variances_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must be .* Received: "):
        VIDLoss(**wrong)


def test_vid_loss_variances_come_back():
    copy = VIDLoss.from_config(VIDLoss(3.0, 0.5).get_config())
    assert (copy.initial_variance, copy.eps) == (3.0, 0.5)
