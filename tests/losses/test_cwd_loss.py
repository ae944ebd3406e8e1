import numpy as np
import pytest
from contract import LossContract
from every_loss import assert_formula, draw, every_map_shape, in_both_dtypes, run, two_seeds
from formulas import log_softmax
from gradients import gradient
from variants import alike_but_first

from keras_kd.losses import CWDLoss

pytestmark = pytest.mark.core


def channel_wise(teacher, student, temperature):
    """Shu et al., eq. 3 and 4: T^2 / C sum_c KL of softmax over positions."""
    logs = []
    for features in (teacher, student):
        channels = features.reshape(len(features), -1, features.shape[-1]).swapaxes(1, 2)
        logs.append(log_softmax(channels / temperature))
    divergence = (np.exp(logs[0]) * (logs[0] - logs[1])).sum(axis=(1, 2))
    return temperature**2 / teacher.shape[-1] * divergence


class TestCWDLoss(LossContract):
    make = CWDLoss
    layers = {"stage2": "stage2"}

    def values(self, seed=0):
        return draw((3, 2, 3, 2), seed)


@in_both_dtypes
@two_seeds
@every_map_shape
@alike_but_first("temperature", [4.0, 1.0])
def test_cwd_loss_is_the_papers_formula(temperature, shape, seed, dtype):
    teacher, student = draw(shape, seed)
    expected = channel_wise(teacher, student, temperature)
    loss = CWDLoss(temperature, dtype=dtype, reduction=None)
    assert_formula(loss, expected, teacher, student, rounding=temperature**2)


def test_cwd_loss_of_a_channel_in_two_places_one_to_three():
    # p_t = (1/4, 3/4), p_s = (1/2, 1/2): KL = 0.1308; the second channel agrees.
    teacher = np.array([[[0.0, 1.0], [np.log(3.0), 2.0]]])
    student = np.array([[[0.0, 5.0], [0.0, 6.0]]])
    kl = 0.25 * np.log(0.5) + 0.75 * np.log(1.5)
    assert run(CWDLoss(1.0), teacher, student) == pytest.approx(kl / 2, rel=1e-5)


@pytest.mark.alike
def test_cwd_loss_does_not_see_a_constant_added_to_a_channel():
    teacher, student = draw((2, 3, 3, 4))
    shift = np.array([100.0, -3.0, 0.5, 7.0])
    expected = run(CWDLoss(dtype="float64"), teacher, student)
    for pair in ((teacher + shift, student), (teacher, student + shift)):
        # float32 on JAX: numbers near 100 are known to 1e-5
        assert run(CWDLoss(dtype="float64"), *pair) == pytest.approx(expected, rel=1e-4)


def test_cwd_loss_of_constant_maps_is_0_with_a_finite_gradient():
    flat = np.full((1, 3, 3, 2), 7.0)
    assert run(CWDLoss(), flat, np.zeros(flat.shape)) == pytest.approx(0.0, abs=1e-5)
    slope = gradient(lambda z: CWDLoss()(flat, z), flat, "float32")
    np.testing.assert_allclose(slope, np.zeros(flat.shape), atol=1e-6)


@pytest.mark.parametrize("padding", [0.0, 1e5])
def test_cwd_loss_leaves_padding_out(padding):
    teacher, student = draw((2, 4, 3))
    teacher[:, 2:], student[:, 2:] = padding, -padding
    mask = np.array([[True, True, False, False], [False] * 4])
    expected = [channel_wise(teacher[:1, :2], student[:1, :2], 4.0)[0], 0.0]
    loss = CWDLoss(reduction=None)
    each = run(loss, teacher, student, mask=mask)
    np.testing.assert_allclose(each, expected, rtol=1e-4, atol=1e-6)
    slope = gradient(lambda z: CWDLoss()(teacher, z, mask=mask), student, "float32")
    assert np.isfinite(slope).all()
    assert not slope[:, 2:].any()


def test_cwd_loss_needs_maps_of_one_shape():
    with pytest.raises(ValueError, match=r"needs maps .* Received: student=\(2, 3\)"):
        CWDLoss()(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"one shape.*Received: teacher=\(2, 4, 4, 8\)"):
        CWDLoss()(np.ones((2, 4, 4, 8)), np.ones((2, 4, 4, 3)))


@pytest.mark.alike
@pytest.mark.parametrize("wrong", [0.0, -2.0, np.nan])
def test_a_temperature_that_is_not_above_0_is_refused(wrong):
    with pytest.raises(ValueError, match=r"`temperature` must be .* Received: temperature="):
        CWDLoss(temperature=wrong)


def test_cwd_loss_keeps_its_temperature_whatever_the_distillers():
    assert CWDLoss().temperature == 4.0
    assert "temperature" not in CWDLoss().asks
    assert CWDLoss.from_config(CWDLoss(2.5).get_config()).temperature == 2.5
