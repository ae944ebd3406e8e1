import json
import math

import keras
import numpy as np
import pytest
from contract import LossContract
from every_loss import assert_formula, draw, in_both_dtypes, run, two_seeds
from gradients import gradient
from models_for_tests import EAGER
from nets_for_losses import digits
from variants import alike_but_first

from keras_kd.losses import CCLoss

pytestmark = pytest.mark.core


def correlation(f, gamma):
    f = f / np.maximum(np.linalg.norm(f, axis=1, keepdims=True), 1e-300)
    cosine = f @ f.T
    series = [
        math.exp(-2.0 * gamma) * (2.0 * gamma) ** p / math.factorial(p) * cosine**p
        for p in (0, 1, 2)
    ]
    return sum(series)


def cc(teacher, student, gamma=0.4):
    """Peng et al. 2019: |K_s - K_t|^2 / B^2, the kernel's Taylor series of order 2."""
    if len(teacher) == 1:
        return np.zeros(1)
    return ((correlation(student, gamma) - correlation(teacher, gamma)) ** 2).mean(axis=1)


@in_both_dtypes
@two_seeds
@alike_but_first("widths", [(5, 3, 5), (4, 7, 2), (1, 3, 3)], ids=str)
@alike_but_first("gamma", [0.4, 1.5])
def test_cc_loss_is_the_papers_formula(gamma, widths, seed, dtype):
    batch, teacher_width, student_width = widths
    teacher, _ = draw((batch, teacher_width), seed)
    _, student = draw((batch, student_width), seed)
    loss = CCLoss(dim=None, gamma=gamma, dtype=dtype, reduction=None)
    assert_formula(loss, cc(teacher, student, gamma), teacher, student)


def test_cc_loss_of_opposites_against_twins():
    # k(1) - k(-1) = exp(-2 gamma) * 2 * 2 gamma, on two of four pairs; gamma 1/2.
    teacher, student = np.array([[1.0], [-2.0]]), np.array([[1.0], [3.0]])
    expected = (2.0 * math.exp(-1.0)) ** 2 / 2.0
    assert run(CCLoss(dim=None, gamma=0.5), teacher, student) == pytest.approx(expected, rel=1e-6)


@two_seeds
def test_cc_loss_compares_the_embeddings_of_both_sides(seed):
    keras.utils.set_random_seed(seed)
    teacher, _ = draw((5, 4), seed)
    _, student = draw((5, 3), seed)
    loss = CCLoss(dim=6, reduction=None)
    part = loss.make_part((None, 4), (None, 3))
    assert [w.shape for w in part.trainable_weights] == [(4, 6), (6,), (3, 6), (6,)]
    part.teacher.bias.assign(np.arange(6.0))
    part.student.bias.assign(np.arange(6.0)[::-1])
    weights = [np.asarray(w, "float64") for w in part.get_weights()]
    expected = cc(teacher @ weights[0] + weights[1], student @ weights[2] + weights[3])
    each = run(loss, teacher, student, part=part)
    np.testing.assert_allclose(each, expected, rtol=1e-3, atol=1e-6)


@two_seeds
def test_cc_loss_permutes_with_the_batch_and_sees_no_rotation_or_scale(seed):
    teacher, student = draw((6, 4), seed)
    order = np.random.default_rng(seed).permutation(6)
    loss = CCLoss(dim=None, reduction=None, dtype="float64")
    expected = run(loss, teacher, student)
    permuted = run(loss, teacher[order], student[order])
    np.testing.assert_allclose(permuted, expected[order], rtol=1e-4)
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(4, 4)))
    turned = run(loss, 1e-3 * teacher, 1e3 * student @ rotation)
    np.testing.assert_allclose(turned, expected, rtol=1e-4)


@pytest.mark.alike
def test_cc_loss_without_embeddings_is_zero_for_a_student_that_equals_its_teacher():
    teacher, _ = draw((5, 4))
    # Compiled, the two correlations may differ by a rounding, whose square is 1e-14.
    assert run(CCLoss(dim=None), teacher, teacher) == pytest.approx(0.0, abs=1e-12)


def test_cc_loss_of_dead_samples_is_finite_with_a_finite_gradient():
    teacher, student = draw((3, 4))
    loss = CCLoss(dim=None)
    dead = student * np.array([[1.0], [0.0], [1.0]])
    for t, s in [(teacher, dead), (dead, student), (teacher, 0.0 * dead), (0.0 * dead, dead)]:
        assert run(loss, t, s) == pytest.approx(cc(t, s).mean(), rel=1e-4)
        assert np.isfinite(gradient(lambda z, t=t: loss(t, z), s, "float32")).all()


@pytest.mark.parametrize("dim", [None, 4])
def test_cc_loss_of_one_sample_is_0_with_gradient_0(dim):
    teacher, student = draw((1, 3))
    loss = CCLoss(dim=dim)
    assert run(loss, teacher, student) == 0.0
    slope = gradient(lambda z: loss(teacher, z), student, "float32")
    np.testing.assert_array_equal(slope, np.zeros((1, 3)))


@pytest.mark.parametrize("dim", [None, 4])
def test_cc_loss_wants_vectors(dim):
    with pytest.raises(ValueError, match=r"vectors \(B, C\): tap the layer that pools.*student="):
        CCLoss(dim=dim)(np.ones((2, 3)), np.ones((2, 4, 3)))


@pytest.mark.alike
@pytest.mark.parametrize("wrong", [{"gamma": 0.0}, {"dim": 0}, {"weight": -1.0}], ids=str)
def test_cc_loss_refuses_arguments_out_of_range(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=rf"`{name}` must be .* Received: {name}="):
        CCLoss(**wrong)
    with pytest.raises(TypeError, match=r"`dim` must be a whole number.*dim=2.5"):
        CCLoss(dim=2.5)


def test_cc_loss_reloads_its_own_arguments():
    for loss in (CCLoss(gamma=0.7, dim=None), CCLoss(dim=9)):
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
        copy = keras.saving.deserialize_keras_object(config)
        assert (copy.gamma, copy.dim, copy.weight) == (loss.gamma, loss.dim, 10.0)


class TestCCLoss(LossContract):
    make = CCLoss
    layers = {"pool": "pool"}
    equal_is_zero = False  # each side has an embedding of its own

    @pytest.mark.alike
    def test_both_embeddings_learn_and_the_teacher_does_not(self):
        distiller = self.distiller()
        distiller.compile(keras.optimizers.Adam(1e-3), **EAGER)
        (part,) = distiller.feature_terms[0].parts
        before = [np.copy(w) for w in part.get_weights()]
        teacher = distiller.teacher.get_weights()
        x, y = digits(32)
        distiller.fit(x, y, batch_size=16, verbose=0)
        moved = [np.abs(a - b).max() for a, b in zip(part.get_weights(), before, strict=True)]
        assert min(moved) > 1e-6
        for a, b in zip(distiller.teacher.get_weights(), teacher, strict=True):
            np.testing.assert_array_equal(a, b)
