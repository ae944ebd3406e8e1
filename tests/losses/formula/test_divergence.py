"""Divergences where the textbook's sum is rounding: near agreement, at high temperatures."""

import numpy as np
import pytest
from every_loss import run
from formulas import log_softmax
from gradients import gradient
from variants import alike_but_first

from keras_kd import losses

pytestmark = pytest.mark.core

BETA = 0.3
LABELS = np.arange(8)
# Temperature, and how far the student's logits are from the teacher's; None for anywhere.
NEAR_AND_HOT = [(1.0, 1e-4), (7.3, 1e-2), (1e3, 1.0), (1e5, None)]


def kl(log_p, log_q):
    return (np.exp(log_p) * (log_p - log_q)).sum(axis=-1)


def jsd(log_t, log_s):
    log_m = np.log(BETA * np.exp(log_t) + (1 - BETA) * np.exp(log_s))
    return BETA * kl(log_t, log_m) + (1 - BETA) * kl(log_s, log_m)


def dkd(log_t, log_s):
    """alpha 1, beta 8: that of the target's coin, and eight times that of all other classes."""
    at_label = np.eye(log_t.shape[-1], dtype=bool)[LABELS]
    target = [z[at_label] for z in (log_t, log_s)]
    coins = [np.stack([z, np.log1p(-np.exp(z))], axis=-1) for z in target]
    others = [z[~at_label].reshape(len(z), -1) for z in (log_t, log_s)]
    return kl(*coins) + 8.0 * kl(*(log_softmax(z) for z in others))


FORMULAS = {
    "KDLoss": (kl, {}),
    "ReverseKDLoss": (lambda log_t, log_s: kl(log_s, log_t), {}),
    "JSDLoss": (jsd, {"beta": BETA}),
    "DKDLoss": (dkd, {}),
}


def pair(distance):
    """Float32 logits of a teacher and a student, as float64 of the same numbers."""
    rng = np.random.default_rng(0)
    teacher, other = (3.0 * rng.normal(size=(8, 10)).astype("float32") for _ in range(2))
    student = other if distance is None else teacher + distance * other
    return teacher.astype("float64"), student.astype("float32").astype("float64")


@pytest.mark.parametrize("name", FORMULAS)
def test_divergences_are_right_where_the_sum_cancels(name):
    formula, settings = FORMULAS[name]
    context = {"labels": LABELS} if name == "DKDLoss" else {}
    for temperature, distance in NEAR_AND_HOT:
        teacher, student = pair(distance)
        # longdouble: float64 keeps nothing of 1e-10 / T^2 in this sum either.
        softened = (np.longdouble(z) / np.longdouble(temperature) for z in (teacher, student))
        expected = formula(*map(log_softmax, softened)) * np.longdouble(temperature) ** 2
        loss = getattr(losses, name)(temperature, reduction=None, **settings)
        found = run(loss, teacher.astype("float32"), student.astype("float32"), **context)
        # 1e-5 is what is promised; a mixture's difference from p is a rounded one.
        tolerance = 3e-5 if name == "JSDLoss" else 1e-5
        np.testing.assert_allclose(found, expected.astype("float64"), rtol=tolerance)


def test_labels_of_yes_or_no_are_right_where_the_sum_cancels():
    for temperature, distance in NEAR_AND_HOT:
        teacher, student = pair(distance)
        zeros = np.zeros_like(teacher)
        coins = (np.longdouble(np.stack([z, zeros], -1)) / temperature for z in (teacher, student))
        expected = kl(*map(log_softmax, coins)).sum(axis=-1) * temperature**2
        loss = losses.BinaryKDLoss(temperature, reduction=None)
        found = run(loss, teacher.astype("float32"), student.astype("float32"))
        np.testing.assert_allclose(found, expected.astype("float64"), rtol=1e-5)


@pytest.mark.parametrize("name", ["KDLoss", "ReverseKDLoss"])
def test_the_gradient_is_right_where_models_nearly_agree(name):
    # To first order both are T (p_s - p_t) = p (d - mean d) with d = z_s - z_t over T.
    teacher, student = pair(1e-4)
    loss = getattr(losses, name)(4.0, reduction="sum")
    p = np.exp(log_softmax(teacher / 4.0))
    d = (student - teacher) / 4.0
    expected = 4.0 * p * (d - (p * d).sum(-1, keepdims=True))
    slope = gradient(lambda z: loss(teacher.astype("float32"), z), student, "float32")
    np.testing.assert_allclose(slope, expected, rtol=5e-3, atol=1e-9)


MASKED = np.array([[1.0, 2.0, -np.inf]]), np.array([[2.0, 0.5, -np.inf]])


@alike_but_first(
    "name", ["JSDLoss", "KDLoss", "SoftCrossEntropyLoss", "HardLabelLoss", "ReverseKDLoss"]
)
def test_a_class_that_both_models_mask_is_as_if_it_were_not_there(name):
    loss = getattr(losses, name)()
    teacher, student = (z.astype("float32") for z in MASKED)
    assert run(loss, teacher, student) == pytest.approx(
        run(loss, teacher[:, :2], student[:, :2]), rel=1e-6
    )
    slope = gradient(lambda z: loss(teacher, z), student, "float32")
    without = gradient(lambda z: loss(teacher[:, :2], z), student[:, :2], "float32")
    np.testing.assert_allclose(slope, np.pad(without, ((0, 0), (0, 1))), rtol=1e-5)


@alike_but_first("name", ["DKDLoss", "NKDLoss"])
def test_a_masked_class_is_none_of_the_others(name):
    loss, labels = getattr(losses, name)(), np.array([1])
    teacher, student = (z.astype("float32") for z in MASKED)
    expected = run(loss, teacher[:, :2], student[:, :2], labels=labels)
    assert run(loss, teacher, student, labels=labels) == pytest.approx(expected, rel=1e-6)


def test_kd_of_masked_logits_is_the_papers_value():
    teacher, student = MASKED
    assert run(losses.KDLoss(2.0), teacher, student) == pytest.approx(0.7635, abs=5e-5)


def test_a_class_that_the_teacher_alone_masks_has_a_finite_distance():
    teacher, student = MASKED[0], np.array([[2.0, 0.5, 1.0]])
    p, q = np.exp([1.0, 2.0]), np.exp([2.0, 0.5, 1.0])
    p, q = p / p.sum(), q / q.sum()
    expected = (p * np.log(p / q[:2])).sum()
    assert run(losses.KDLoss(1.0), teacher, student) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["LogitsMSELoss", "DISTLoss", "LogitStdLoss"])
def test_a_formula_on_the_numbers_themselves_says_that_it_has_no_value_there(name):
    loss = getattr(losses, name)()
    teacher, student = (np.repeat(z, 2, axis=0).astype("float32") for z in MASKED)
    with pytest.raises(ValueError, match=r"masked by minus infinity.*Received: teacher logits"):
        loss(teacher, student)
