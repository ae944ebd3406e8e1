import numpy as np
import pytest
from contract import LossContract
from every_loss import assert_formula, draw, every_shape, in_both_dtypes, run, two_seeds
from gradients import gradient
from variants import alike_but_first

from keras_kd.losses import GradientLoss

pytestmark = pytest.mark.core


def matching(teacher, student, normalize):
    """Squared distance of the Jacobians, of length 1 in Srinivas & Fleuret 2018, equation 6."""
    rows = [g.reshape(len(g), -1) for g in (teacher, student)]
    if normalize:
        rows = [g / np.linalg.norm(g, axis=1, keepdims=True) for g in rows]
    return ((rows[1] - rows[0]) ** 2).sum(axis=1)


@in_both_dtypes
@two_seeds
@every_shape
@alike_but_first("normalize", [True, False])
def test_gradient_loss_is_the_papers_formula(normalize, shape, seed, dtype):
    teacher, student = draw(shape, seed)
    loss = GradientLoss(normalize=normalize, dtype=dtype, reduction=None)
    assert_formula(loss, matching(teacher, student, normalize), teacher, student)


@pytest.mark.alike
def test_gradient_loss_by_hand():
    # Unit vectors (3/5, 4/5) and (1, 0): 4/25 + 16/25. Plain: (3 - 2)^2 + 4^2.
    teacher, student = np.array([[3.0, 4.0]]), np.array([[2.0, 0.0]])
    assert run(GradientLoss(), teacher, student) == pytest.approx(0.8, rel=1e-6)
    assert run(GradientLoss(normalize=False), teacher, student) == 17.0


@two_seeds
def test_gradient_loss_sees_directions_alone_and_is_twice_one_minus_the_cosine(seed):
    teacher, student = draw((3, 4, 2), seed)
    loss = GradientLoss(dtype="float64")
    value = run(loss, teacher, student)
    assert run(loss, 7.0 * teacher, 1e-3 * student) == pytest.approx(value, rel=1e-5)
    assert run(loss, teacher, -teacher) == pytest.approx(4.0, rel=1e-6)
    assert 0.0 <= value <= 4.0


@pytest.mark.parametrize("normalize", [True, False])
def test_gradient_loss_of_zeros_is_finite(normalize):
    loss = GradientLoss(normalize=normalize)
    zeros, other = np.zeros((2, 3)), np.array([[3.0, 4.0, 0.0]] * 2)
    for teacher, student in [(zeros, zeros), (other, zeros), (zeros, other)]:
        assert run(loss, teacher, student) == run(loss, student, teacher)
        slope = gradient(lambda z, t=teacher: loss(t, z), student, "float32")
        assert np.isfinite(slope).all()
    assert run(loss, zeros, zeros) == 0.0


@pytest.mark.alike
def test_what_are_no_gradients_of_samples_is_refused():
    with pytest.raises(ValueError, match=r"must have one shape.*Received: teacher=\(2, 3\)"):
        GradientLoss()(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"gradients \(B, \.\.\.\).*Received: student=\(2,\)"):
        GradientLoss()(np.ones(2), np.ones(2))
    with pytest.raises(TypeError, match=r"`normalize` must be True or False\. Received: norm"):
        GradientLoss(normalize=2)


class TestGradientLoss(LossContract):
    make = GradientLoss

    def values(self, seed=0):
        return draw((4, 3, 3, 1), seed)

    def test_its_own_arguments_are_kept(self):
        copy = GradientLoss.from_config(GradientLoss(normalize=False).get_config())
        assert copy.normalize is False
