import numpy as np
import pytest
from every_loss import assert_formula, draw, every_shape, in_both_dtypes, run, two_seeds
from formulas import per_sample
from gradients import gradient

from keras_kd.losses import FitNetLoss

pytestmark = pytest.mark.core


@in_both_dtypes
@two_seeds
@every_shape
def test_fit_net_loss_is_the_mean_squared_difference(shape, seed, dtype):
    teacher, student = draw(shape, seed)
    loss = FitNetLoss(dtype=dtype, reduction=None)
    assert_formula(loss, per_sample((student - teacher) ** 2), teacher, student)


def test_fit_net_loss_of_maps_that_differ_by_3_everywhere_is_9():
    teacher, _ = draw((2, 3, 3, 4))
    assert run(FitNetLoss(), teacher, teacher + 3.0) == pytest.approx(9.0, rel=1e-5)
    # 2 (F_s - F_t) over the 72 entries
    slope = gradient(lambda f: FitNetLoss()(teacher, f), teacher + 3.0, "float32")
    np.testing.assert_allclose(slope, np.full(teacher.shape, 6.0 / 72.0), rtol=1e-5)


@pytest.mark.alike
def test_fit_net_loss_is_zero_for_a_student_that_equals_its_teacher():
    teacher, _ = draw((2, 3, 4))
    assert run(FitNetLoss(), teacher, teacher) == 0.0
    assert run(FitNetLoss(), np.zeros((2, 3, 4)), np.zeros((2, 3, 4))) == 0.0


@pytest.mark.alike
@pytest.mark.parametrize("student", [(2, 4, 4, 3), (2, 4, 8), (2, 1, 1, 8)])
def test_fit_net_loss_refuses_maps_of_different_shape(student):
    with pytest.raises(ValueError, match=r"one shape.*Received: teacher=\(2, 4, 4, 8\), student="):
        FitNetLoss()(np.ones((2, 4, 4, 8)), np.ones(student))


@pytest.mark.alike
def test_fit_net_loss_weighs_100_unless_told():
    assert FitNetLoss().weight == 100.0
    assert FitNetLoss(weight=0).weight == 0.0
