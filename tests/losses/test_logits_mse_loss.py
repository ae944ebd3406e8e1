import numpy as np
import pytest
from every_loss import assert_formula, draw, every_shape, in_both_dtypes, run, two_seeds
from gradients import gradient
from keras import activations, ops

from keras_kd.losses import LogitsMSELoss

pytestmark = pytest.mark.core


@in_both_dtypes
@two_seeds
@every_shape
def test_logits_mse_is_ba_and_caruanas_formula(shape, seed, dtype):
    teacher, student = draw(shape, seed)
    expected = ((teacher - student) ** 2).mean(axis=-1)
    loss = LogitsMSELoss(dtype=dtype, reduction=None)
    assert_formula(loss, expected, teacher, student)


def test_logits_mse_is_exact_at_a_logit_gap_of_1000():
    # (1000^2 + 0) / 2 = 500000, gradient 2 (z_s - z_t) / 2.
    teacher, student = np.array([[1000.0, 1.0]]), np.array([[0.0, 1.0]])
    assert run(LogitsMSELoss(), teacher, student) == pytest.approx(5e5)
    slope = gradient(lambda z: LogitsMSELoss()(teacher, z), student, "float32")
    np.testing.assert_allclose(slope, [[-1000.0, 0.0]])


def test_logits_mse_sees_a_shift_of_the_logits():
    teacher, _ = draw((3, 4))
    assert run(LogitsMSELoss(), teacher, teacher) == 0.0
    assert run(LogitsMSELoss(), teacher, teacher + 2.0) == pytest.approx(4.0, rel=1e-5)


@pytest.mark.alike
@pytest.mark.parametrize("flag", ["teacher_from_logits", "student_from_logits"])
def test_logits_mse_refuses_probabilities_whose_logits_are_gone(flag):
    probabilities = np.full((2, 3), 1.0 / 3.0)
    with pytest.raises(ValueError, match=r"compares logits.*Received: probabilities of shape"):
        LogitsMSELoss(**{flag: False})(probabilities, probabilities)


def test_logits_mse_takes_a_keras_softmax_since_keras_keeps_its_logits():
    teacher, student = draw((2, 3))
    loss = LogitsMSELoss(teacher_from_logits=False, student_from_logits=False)
    softened = [
        activations.softmax(ops.convert_to_tensor(z, "float32")) for z in (teacher, student)
    ]
    assert run(loss, *softened) == pytest.approx(((teacher - student) ** 2).mean(), rel=1e-5)
