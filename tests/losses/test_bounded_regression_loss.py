import numpy as np
import pytest
from every_loss import (
    assert_formula,
    draw,
    every_shape,
    in_both_dtypes,
    labels_for,
    run,
    two_seeds,
)
from gradients import gradient
from variants import alike_but_first

from keras_kd.losses import BoundedRegressionLoss

pytestmark = pytest.mark.core


def bounded(teacher, student, labels, margin):
    """Chen 2017, equation 5, looked at one value at a time."""
    ours = ((student - labels) ** 2).sum(axis=-1)
    theirs = ((teacher - labels) ** 2).sum(axis=-1)
    each = [s if s + margin > t else 0.0 for s, t in zip(ours.flat, theirs.flat, strict=True)]
    return np.reshape(each, ours.shape)


@in_both_dtypes
@two_seeds
@every_shape
@alike_but_first("margin", [3.0, 0.0])
def test_bounded_regression_is_chens_equation_5(margin, shape, seed, dtype):
    teacher, student = draw(shape, seed)
    labels = labels_for(shape)
    expected = bounded(teacher, student, labels, margin)
    loss = BoundedRegressionLoss(margin=margin, dtype=dtype, reduction=None)
    assert_formula(loss, expected, teacher, student, labels=labels)


def test_bounded_regression_leaves_a_student_alone_that_beats_its_teacher():
    labels, teacher = np.zeros((2, 1)), np.ones((2, 1))
    student = np.array([[0.9], [1.1]])
    loss = BoundedRegressionLoss(reduction=None)
    np.testing.assert_allclose(run(loss, teacher, student, labels=labels), [0.0, 1.21], rtol=1e-6)
    # Errors 0.81 and 1.21 against the teacher's 1; the mean's gradient is 2 (s - y) / 2.
    loss = BoundedRegressionLoss()
    slope = gradient(lambda z: loss(teacher, z, labels=labels), student, "float32")
    np.testing.assert_allclose(slope, [[0.0], [1.1]], rtol=1e-6)


def test_bounded_regression_asks_the_student_to_win_by_the_margin():
    labels, teacher, student = np.zeros((1, 1)), np.ones((1, 1)), np.array([[0.9]])
    # 0.81 + 0.1 is still below the teacher's 1; 0.81 + 0.2 is not.
    assert run(BoundedRegressionLoss(0.1), teacher, student, labels=labels) == 0.0
    counted = run(BoundedRegressionLoss(0.2), teacher, student, labels=labels)
    assert counted == pytest.approx(0.81, rel=1e-6)


@pytest.mark.alike
def test_bounded_regression_is_zero_for_a_student_that_equals_its_teacher():
    teacher, _ = draw((4, 2))
    assert run(BoundedRegressionLoss(), teacher, teacher, labels=labels_for((4, 2))) == 0.0


def test_bounded_regression_takes_flat_or_integer_labels_of_one_output():
    teacher, student = draw((5, 1))
    labels = np.arange(5)
    expected = bounded(teacher, student, labels[:, None], 0.0).mean()
    for given in (labels, labels[:, None], labels.astype("float64")):
        assert run(BoundedRegressionLoss(), teacher, student, labels=given) == pytest.approx(
            expected, rel=1e-5
        )


def test_bounded_regression_without_labels_says_so():
    with pytest.raises(ValueError, match=r"BoundedRegressionLoss needs labels\. Received: labels="):
        BoundedRegressionLoss()(np.ones((2, 1)), np.ones((2, 1)))


@pytest.mark.alike
def test_bounded_regression_refuses_labels_of_another_shape():
    with pytest.raises(ValueError, match=r"\(labels\).*Received: teacher=\(2, 3\), student=\(2, 1"):
        BoundedRegressionLoss()(np.ones((2, 1)), np.ones((2, 1)), labels=np.ones((2, 3)))


@pytest.mark.alike
@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_a_margin_below_0_is_refused(wrong):
    with pytest.raises(ValueError, match=r"`margin` must be .* Received: margin="):
        BoundedRegressionLoss(margin=wrong)
