import json
import math

import keras
import numpy as np
import pytest
from contract import LossContract
from every_loss import assert_formula, draw, every_shape, in_both_dtypes, run, two_seeds
from nets_for_losses import student_net, teacher_net
from variants import alike_but_first

from keras_kd import Distiller
from keras_kd.features import Tap
from keras_kd.losses import OFDLoss

pytestmark = pytest.mark.core


def partial(teacher, student, margin):
    """Heo et al., eq. 1 to 3: d_p of max(F_t, m_c) and F_s, summed."""
    target = np.maximum(teacher, margin)
    distance = np.where((student <= target) & (target <= 0.0), 0.0, (target - student) ** 2)
    return distance.reshape(len(distance), -1).sum(axis=1)


def batch_margin(teacher):
    """Heo et al., eq. 4: the mean of a channel's negative responses, 0 if it has none."""
    channels = teacher.reshape(-1, teacher.shape[-1]).T
    return np.array([c[c < 0].mean() if (c < 0).any() else 0.0 for c in channels])


def mean_below_0(mean, deviation):
    """E[x | x < 0] of a normal distribution, by the trapezoidal rule over its lower tail."""
    x = np.linspace(min(mean, 0.0) - 12.0 * deviation, 0.0, 400_001)
    exponent = -0.5 * ((x - mean) / deviation) ** 2
    density = np.exp(exponent - exponent.max())
    return np.trapezoid(x * density, x) / np.trapezoid(density, x)


class TestOFDLoss(LossContract):
    make = OFDLoss
    layers = {"pre2": "pre2"}


@in_both_dtypes
@two_seeds
@every_shape
@alike_but_first("margin", [-0.5, None])
def test_ofd_loss_is_the_papers_formula(margin, shape, seed, dtype):
    teacher, student = draw(shape, seed)
    expected = partial(teacher, student, batch_margin(teacher) if margin is None else margin)
    loss = OFDLoss(margin, dtype=dtype, reduction=None)
    assert_formula(loss, expected, teacher, student)


@pytest.mark.alike
def test_ofd_loss_by_hand():
    # Targets 2, -1, -1, -0.5, 0: (2 - 3)^2, below a negative target 0, (-1 + 0.5)^2, at 0: 0 + 1.
    teacher = np.array([[2.0, -7.0, -1.5, -0.5, 0.0]])
    student = np.array([[3.0, -2.0, -0.5, -0.6, 1.0]])
    assert run(OFDLoss(-1.0), teacher, student) == pytest.approx(1.0 + 0.0 + 0.25 + 0.0 + 1.0)


@pytest.mark.alike
def test_ofd_loss_does_not_see_how_negative_a_silent_neuron_is():
    teacher, student = draw((3, 4, 5))
    expected = run(OFDLoss(-1.0), teacher, student)
    lower = np.where(student < np.maximum(teacher, -1.0), 9.0 * student - 9.0, student)
    silent = np.where(teacher <= 0.0, lower, student)
    assert run(OFDLoss(-1.0), teacher, silent) == pytest.approx(expected, rel=1e-6)
    deeper = np.where(teacher < -1.0, 50.0 * teacher, teacher)
    assert run(OFDLoss(-1.0), deeper, student) == pytest.approx(expected, rel=1e-6)


def test_ofd_loss_takes_a_margin_for_each_channel():
    teacher, student = draw((2, 3, 3))
    margins = [-0.1, -1.0, 0.0]
    loss = OFDLoss(np.array(margins), reduction=None)
    assert_formula(loss, partial(teacher, student, np.array(margins)), teacher, student)
    config = json.loads(json.dumps(loss.get_config()))
    assert OFDLoss.from_config(config).margin == margins


@pytest.mark.alike
@pytest.mark.parametrize("mean", [-3.0, -0.2, 0.0, 0.4, 2.0, 9.0, 60.0])
@pytest.mark.parametrize("deviation", [-1.5, 0.7, 2.0])
def test_the_margin_of_a_batch_norm_is_the_mean_below_0_of_its_distribution(mean, deviation):
    norm = keras.layers.BatchNormalization()
    norm.build((None, 2, 2, 1))
    norm.beta.assign([mean])
    norm.gamma.assign([deviation])
    part = OFDLoss(dtype="float64").make_part((None, 2, 2, 1), (None, 2, 2, 1), norm)
    found = float(part.margin.numpy()[0])
    # The rule's own error, relative, and beta's and gamma's, which are float32.
    assert found == pytest.approx(mean_below_0(float(np.float32(mean)), abs(deviation)), rel=1e-4)
    assert -math.inf < found < 0.0
    assert not part.trainable_variables


def test_a_batch_norm_without_scale_or_spread_has_a_margin():
    plain = keras.layers.BatchNormalization(center=False, scale=False)
    plain.build((None, 2))
    part = OFDLoss().make_part((None, 2), (None, 2), plain)
    # E[x | x < 0] of a standard normal distribution
    np.testing.assert_allclose(part.margin.numpy(), [-math.sqrt(2 / math.pi)] * 2)
    flat = keras.layers.BatchNormalization()
    flat.build((None, 2))
    flat.gamma.assign([0.0, 0.0])
    flat.beta.assign([-3.0, 4.0])
    part = OFDLoss().make_part((None, 2), (None, 2), flat)
    np.testing.assert_allclose(part.margin.numpy(), [-3.0, 0.0])


@pytest.mark.parametrize(
    ("tap", "known"),
    [
        ("pre2", True),
        (Tap("pre2"), True),
        (Tap("pre2", side="input"), False),
        (Tap("stage2", side="input"), False),
    ],
)
def test_margins_come_from_the_teachers_batch_norm_where_its_output_is_read(tap, known):
    teacher = teacher_net()
    teacher.get_layer("pre2").beta.assign(np.linspace(-1.0, 1.0, 10))
    before = teacher.get_weights()
    loss = OFDLoss(layers={"pre2": tap})
    distiller = Distiller(student_net(), teacher, kd_loss=None, feature_losses=[loss])
    (part,) = distiller.feature_terms[0].parts
    assert (part.margin is not None) == known
    if known:
        expected = [mean_below_0(mean, 1.0) for mean in np.linspace(-1.0, 1.0, 10)]
        np.testing.assert_allclose(part.margin.numpy(), expected, rtol=1e-4)
    for weight, was in zip(teacher.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, was)


def test_margins_are_read_off_a_batch_norm_beforehand():
    norm = teacher_net().get_layer("pre2")
    norm.beta.assign(np.linspace(-1.0, 1.0, 10))
    margins = OFDLoss.margins_of(norm)
    expected = [mean_below_0(mean, 1.0) for mean in np.linspace(-1.0, 1.0, 10)]
    np.testing.assert_allclose(margins, expected, rtol=1e-4)
    assert OFDLoss(margins).margin == margins
    for layer in (keras.layers.Dense(3), keras.layers.BatchNormalization(), None):
        with pytest.raises(ValueError, match=r"a built keras.layers.BatchNormalization. Received"):
            OFDLoss.margins_of(layer)


def test_margins_of_the_batch_are_taken_where_they_are_asked_for():
    teacher, student = draw((3, 4, 5))
    loss = OFDLoss("batch", reduction=None)
    assert_formula(loss, partial(teacher, student, batch_margin(teacher)), teacher, student)
    loss = OFDLoss("batch", layers={"pre2": "pre2"})
    distiller = Distiller(student_net(), teacher_net(), kd_loss=None, feature_losses=[loss])
    assert distiller.feature_terms[0].parts[0].margin is None
    with pytest.raises(TypeError, match="margin='batches'"):
        OFDLoss("batches")


def test_ofd_loss_leaves_padding_out_of_the_sum_and_of_the_margins():
    teacher, student = draw((2, 4, 3))
    mask = np.array([[True, True, False, False], [False] * 4])
    cut = teacher[:1, :2], student[:1, :2]
    expected = [partial(*cut, batch_margin(cut[0]))[0], 0.0]
    each = run(OFDLoss(reduction=None), teacher, student, mask=mask)
    np.testing.assert_allclose(each, expected, rtol=1e-5)


@pytest.mark.alike
def test_ofd_loss_refuses_other_shapes_and_margins_of_another_width():
    with pytest.raises(ValueError, match=r"one shape.*Received: teacher=\(2, 4\), student="):
        OFDLoss()(np.ones((2, 4)), np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"one a channel. Received: 2 margins, teacher=\(2, 4\)"):
        OFDLoss([-1.0, -2.0])(np.ones((2, 4)), np.ones((2, 4)))


@pytest.mark.alike
@pytest.mark.parametrize("wrong", [0.5, [-1.0, 1.0], math.nan])
def test_a_margin_above_0_is_refused(wrong):
    with pytest.raises(ValueError, match=r"`margin` must be .* Received: margin="):
        OFDLoss(wrong)


@pytest.mark.alike
@pytest.mark.parametrize("wrong", ["-1", True, [[-1.0]]])
def test_a_margin_that_is_no_number_is_refused(wrong):
    with pytest.raises(TypeError, match=r"`margin` must be .* Received: margin="):
        OFDLoss(wrong)


def test_ofd_loss_weighs_a_thousandth_unless_told():
    assert OFDLoss().weight == 1e-3
