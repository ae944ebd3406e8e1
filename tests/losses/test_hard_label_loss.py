import numpy as np
import pytest
from every_loss import assert_formula, draw, every_shape, in_both_dtypes, run, two_seeds
from formulas import log_softmax, softmax
from gradients import assert_gradient, gradient
from variants import alike_but_first

from keras_kd.losses import HardLabelLoss

pytestmark = pytest.mark.core


def hard_label(teacher, student, smoothing):
    """DeiT: cross-entropy against the teacher's arg max, its label smoothed as Szegedy's."""
    classes = teacher.shape[-1]
    targets = np.eye(classes)[teacher.argmax(axis=-1)]
    targets = (1.0 - smoothing) * targets + smoothing / classes
    return -(targets * log_softmax(student)).sum(axis=-1)


@in_both_dtypes
@two_seeds
@every_shape
@alike_but_first("smoothing", [0.1, 0.0, 1.0])
def test_hard_label_loss_is_deits_formula(smoothing, shape, seed, dtype):
    teacher, student = draw(shape, seed)
    expected = hard_label(teacher, student, smoothing)
    loss = HardLabelLoss(label_smoothing=smoothing, dtype=dtype, reduction=None)
    assert_formula(loss, expected, teacher, student)


def test_hard_label_loss_of_three_to_one():
    # The teacher picks class 1, to which the student gives 3/4: -ln(3/4).
    loss = run(HardLabelLoss(), np.array([[0.0, 9.0]]), np.array([[0.0, np.log(3.0)]]))
    assert loss == pytest.approx(-np.log(0.75), rel=1e-6)


@in_both_dtypes
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_hard_label_loss_is_exact_at_a_logit_gap_of_1000(smoothing, dtype):
    # Targets (1 - s/2, s/2) against log p_s = (-1000, 0).
    teacher, student = np.array([[1.0, 0.0]]), np.array([[0.0, 1000.0]])
    loss = HardLabelLoss(label_smoothing=smoothing, dtype=dtype)
    kept = 1.0 - smoothing / 2
    assert run(loss, teacher, student) == pytest.approx(1000.0 * kept, rel=1e-6)
    slope = gradient(lambda z: loss(teacher, z), student, dtype)
    np.testing.assert_allclose(slope, [[-kept, kept]], rtol=1e-6)


def test_hard_label_loss_hears_the_teachers_choice_alone():
    teacher, student = draw((4, 5))
    louder = run(HardLabelLoss(), 10.0 * teacher + 3.0, student)
    assert louder == run(HardLabelLoss(), teacher, student)


def test_hard_label_loss_takes_the_first_class_of_a_teacher_that_cannot_choose():
    _, student = draw((3, 4))
    expected = -np.log(softmax(student)[:, 0]).mean()
    assert run(HardLabelLoss(), np.zeros((3, 4)), student) == pytest.approx(expected, rel=1e-5)


def test_hard_label_loss_gradient_with_smoothing_equals_central_differences():
    teacher, student = draw((2, 3, 4))
    loss = HardLabelLoss(label_smoothing=0.2, dtype="float64")
    assert_gradient(lambda z: loss(teacher, z), student)


@pytest.mark.alike
@pytest.mark.parametrize("wrong", [-0.1, 1.5, np.nan, np.inf])
def test_label_smoothing_outside_0_to_1_is_refused(wrong):
    with pytest.raises(
        ValueError, match=r"`label_smoothing` must be .* Received: label_smoothing="
    ):
        HardLabelLoss(label_smoothing=wrong)


@pytest.mark.alike
@pytest.mark.parametrize("wrong", [True, "0.1", None, [0.1]])
def test_label_smoothing_that_is_no_number_is_refused(wrong):
    with pytest.raises(TypeError, match=r"`label_smoothing` must be .* Received: label_smoothing="):
        HardLabelLoss(label_smoothing=wrong)
