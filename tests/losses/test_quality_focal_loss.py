import numpy as np
import pytest
from contract import LossContract
from every_loss import assert_formula, draw, every_shape, in_both_dtypes, run, two_seeds
from formulas import sigmoid
from gradients import gradient
from variants import alike_but_first

from keras_kd.losses import QualityFocalLoss

pytestmark = pytest.mark.core


def quality_focal(teacher, student, gamma):
    """Li et al., eq. 2, with y the teacher's probability."""
    y, sigma = sigmoid(teacher), sigmoid(student)
    cross_entropy = -(y * np.log(sigma) + (1.0 - y) * np.log(1.0 - sigma))
    return (np.abs(y - sigma) ** gamma * cross_entropy).sum(axis=-1)


class TestQualityFocalLoss(LossContract):
    make = QualityFocalLoss


@in_both_dtypes
@two_seeds
@every_shape
@alike_but_first("gamma", [1.0, 2.0])
def test_quality_focal_loss_is_the_papers_formula(gamma, shape, seed, dtype):
    teacher, student = draw(shape, seed)
    loss = QualityFocalLoss(gamma, dtype=dtype, reduction=None)
    assert_formula(loss, quality_focal(teacher, student, gamma), teacher, student)


def test_quality_focal_loss_of_a_sure_teacher_is_the_focal_loss_of_labels():
    # Lin et al. 2017 for a positive: (1 - p)^gamma * -log p.
    student = np.array([[-2.0], [0.5], [3.0]])
    teacher = np.full(student.shape, 500.0)
    p = sigmoid(student)
    expected = ((1.0 - p) ** 2 * -np.log(p)).sum(axis=-1)
    found = run(QualityFocalLoss(2.0, reduction=None), teacher, student)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_background_that_both_know_hardly_weighs_against_one_object_that_is_missed():
    teacher, student = np.full((1, 1000, 1), -5.0), np.full((1, 1000, 1), -4.0)
    background = run(QualityFocalLoss(reduction="sum"), teacher, student)
    teacher[0, 0] = 5.0
    with_object = run(QualityFocalLoss(reduction="sum"), teacher, student)
    assert with_object - background > 3.0 * background


def test_quality_focal_loss_is_exact_at_a_logit_gap_of_1000():
    # The teacher is sure of yes, the student of no: weight 1 times 500.
    teacher, student = np.array([[500.0]]), np.array([[-500.0]])
    assert run(QualityFocalLoss(), teacher, student) == pytest.approx(500.0, rel=1e-6)
    slope = gradient(lambda z: QualityFocalLoss()(teacher, z), student, "float32")
    np.testing.assert_allclose(slope, [[-1.0]], rtol=1e-6)


@pytest.mark.parametrize("gamma", [1.0, 1.5, 2.0])
def test_where_both_agree_the_gradient_is_0(gamma):
    values = np.array([[-3.0, 0.0, 40.0]])
    slope = gradient(lambda z: QualityFocalLoss(gamma)(values, z), values, "float32")
    np.testing.assert_array_equal(slope, np.zeros(values.shape))


@pytest.mark.alike
@pytest.mark.parametrize("wrong", [0.0, 0.5, -1.0, np.nan])
def test_a_gamma_below_1_is_refused(wrong):
    with pytest.raises(ValueError, match=r"`gamma` must be .*at least 1.* Received: gamma="):
        QualityFocalLoss(wrong)


def test_quality_focal_loss_is_rebuilt_with_its_gamma():
    assert QualityFocalLoss.from_config(QualityFocalLoss(2.0).get_config()).gamma == 2.0
