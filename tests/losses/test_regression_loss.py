import numpy as np
import pytest
from every_loss import assert_formula, draw, every_shape, in_both_dtypes, run, two_seeds
from gradients import gradient

from keras_kd.losses import RegressionLoss

pytestmark = pytest.mark.core


@in_both_dtypes
@two_seeds
@every_shape
def test_regression_loss_is_the_squared_distance(shape, seed, dtype):
    teacher, student = draw(shape, seed)
    expected = ((student - teacher) ** 2).sum(axis=-1)
    loss = RegressionLoss(dtype=dtype, reduction=None)
    assert_formula(loss, expected, teacher, student)


def test_regression_loss_of_a_3_4_5_triangle_is_25():
    teacher, student = np.zeros((1, 2)), np.array([[3.0, 4.0]])
    assert run(RegressionLoss(), teacher, student) == 25.0
    slope = gradient(lambda z: RegressionLoss()(teacher, z), student, "float32")
    np.testing.assert_allclose(slope, [[6.0, 8.0]])


@pytest.mark.alike
def test_regression_loss_is_zero_for_a_student_that_equals_its_teacher():
    teacher, _ = draw((4, 2))
    assert run(RegressionLoss(), teacher, teacher) == 0.0


def test_regression_loss_does_not_broadcast_one_output_over_another_shape():
    with pytest.raises(ValueError, match=r"one shape.*Received: teacher=\(4, 1\), student=\(4, 4"):
        RegressionLoss()(np.ones((4, 1)), np.ones((4, 4)))
