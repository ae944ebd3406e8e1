import numpy as np
import pytest
from contract import LossContract
from every_loss import assert_formula, draw, in_both_dtypes, run, two_seeds
from formulas import per_sample
from variants import alike_but_first

from keras_kd.losses import HiddenStateLoss

pytestmark = pytest.mark.core


@in_both_dtypes
@two_seeds
@alike_but_first("shape", [(2, 3, 5), (3, 3, 3), (1, 4)], ids=str)
def test_hidden_state_loss_is_the_mean_squared_error(shape, seed, dtype):
    teacher, student = draw(shape, seed)
    expected = per_sample((teacher - student) ** 2)
    assert_formula(HiddenStateLoss(dtype=dtype, reduction=None), expected, teacher, student)


def test_hidden_state_loss_of_one_number_that_is_2_off():
    teacher = np.zeros((1, 2, 3))
    student = teacher.copy()
    student[0, 1, 2] = 2.0
    assert run(HiddenStateLoss(), teacher, student) == pytest.approx(4.0 / 6.0)


def test_hidden_state_loss_leaves_padding_out():
    teacher, student = draw((3, 4, 2))
    mask = np.array([[True, True, False, False], [True] * 4, [False] * 4])
    squares = (teacher - student) ** 2
    expected = [squares[0, :2].mean(), squares[1].mean(), 0.0]
    loss = HiddenStateLoss(reduction=None)
    each = run(loss, teacher, student, mask=mask)
    np.testing.assert_allclose(each, expected, rtol=1e-5)
    longer = [np.concatenate([value, np.full((3, 2, 2), 9.0)], 1) for value in (teacher, -student)]
    longer[1][:, :4] = student
    padded = run(loss, *longer, mask=np.pad(mask, ((0, 0), (0, 2))))
    np.testing.assert_allclose(padded, each, rtol=1e-6)


@pytest.mark.alike
def test_hidden_state_loss_refuses_maps_and_other_shapes():
    with pytest.raises(ValueError, match=r"needs hidden states .* FitNetLoss is for maps"):
        HiddenStateLoss()(np.ones((2, 4, 4, 3)), np.ones((2, 4, 4, 3)))
    with pytest.raises(ValueError, match=r"one shape.*teacher=\(2, 4, 3\), student=\(2, 4, 5\)"):
        HiddenStateLoss()(np.ones((2, 4, 3)), np.ones((2, 4, 5)))


@pytest.mark.alike
def test_hidden_state_loss_weighs_1_unless_told():
    assert (HiddenStateLoss().weight, HiddenStateLoss(weight=3).weight) == (1.0, 3.0)


class TestHiddenStateLoss(LossContract):
    make = HiddenStateLoss
    nets = "attending"
    layers = {"tokens1": "tokens2"}

    def values(self, seed=0):
        return draw((3, 4, 5), seed)

    @pytest.mark.alike  # projectors of every kind are trained alike
    def test_a_dense_projector_is_trained(self):
        distiller = self.distiller()
        (projector,) = distiller.feature_terms[0].projectors
        assert [layer.kernel.shape for layer in projector.layers] == [(6, 8)]
