import numpy as np
import pytest
from contract import LossContract
from every_loss import draw, in_both_dtypes, run, two_seeds
from gradients import FLOAT64_STAYS, gradient
from variants import alike_but_first

from keras_kd.losses import PKTLoss

pytestmark = pytest.mark.core


def neighbours(f):
    f = f / np.maximum(np.linalg.norm(f, axis=1, keepdims=True), 1e-300)
    kernel = (f @ f.T + 1.0) / 2.0
    return kernel / kernel.sum(axis=1, keepdims=True)


def pkt(teacher, student):
    """Passalis & Tefas 2018, with the mean over B^2 and the epsilon of the authors' code."""
    p, q = neighbours(teacher), neighbours(student)
    return (p * np.log((p + 1e-7) / (q + 1e-7))).mean(axis=1)


@in_both_dtypes
@two_seeds
@alike_but_first("widths", [(5, 3, 5), (4, 7, 2), (1, 3, 3)], ids=str)
def test_pkt_loss_is_the_papers_formula(widths, seed, dtype):
    batch, teacher_width, student_width = widths
    teacher, _ = draw((batch, teacher_width), seed)
    _, student = draw((batch, student_width), seed)
    each = run(PKTLoss(dtype=dtype, reduction=None), teacher, student)
    # Logarithms near 0.3 of probabilities near 0.2, which nearly cancel.
    atol = 1e-12 if dtype == "float64" and FLOAT64_STAYS else 2e-7
    np.testing.assert_allclose(each, pkt(teacher, student), atol=atol)


def test_pkt_loss_of_opposites_against_twins():
    # Teacher: kernels 1 and 0, so p = (1, 0). Student: kernels 1 and 1, so q = (1/2, 1/2).
    # Each row: 1 ln 2 + 0, over two pairs.
    teacher, student = np.array([[1.0], [-2.0]]), np.array([[1.0], [3.0]])
    assert run(PKTLoss(), teacher, student) == pytest.approx(np.log(2.0) / 2.0, rel=1e-5)


@two_seeds
def test_pkt_loss_permutes_with_the_batch_and_sees_no_rotation_or_scale(seed):
    teacher, student = draw((6, 4), seed)
    order = np.random.default_rng(seed).permutation(6)
    loss = PKTLoss(reduction=None, dtype="float64")
    expected = run(loss, teacher, student)
    np.testing.assert_allclose(
        run(loss, teacher[order], student[order]), expected[order], atol=2e-7
    )
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(4, 4)))
    lengths = np.array([[1e-3], [1.0], [10.0], [1e3], [2.0], [5.0]])  # of each sample its own
    turned = run(loss, lengths * teacher, lengths * student @ rotation)
    np.testing.assert_allclose(turned, expected, atol=2e-7)


def test_pkt_loss_of_dead_and_opposite_samples_is_finite_with_a_finite_gradient():
    teacher, student = draw((4, 3))
    dead = student * np.array([[1.0], [0.0], [1.0], [1.0]])
    opposite = np.concatenate([student[:2], -student[:2]])
    for t, s in [(teacher, dead), (dead, student), (teacher, opposite), (teacher, 0.0 * dead)]:
        each = run(PKTLoss(reduction=None), t, s)
        # A kernel of 0 is known to float32's 6e-8, beside an epsilon of 1e-7 in a logarithm.
        np.testing.assert_allclose(each, pkt(t, s), rtol=3e-2, atol=1e-6)
        assert np.isfinite(gradient(lambda z, t=t: PKTLoss()(t, z), s, "float32")).all()


def test_pkt_loss_of_one_sample_is_0_with_gradient_0():
    teacher, student = draw((1, 3))
    assert run(PKTLoss(), teacher, student) == 0.0
    slope = gradient(lambda z: PKTLoss()(teacher, z), student, "float32")
    np.testing.assert_array_equal(slope, np.zeros((1, 3)))


@pytest.mark.parametrize("shape", [(2, 4, 3), (2, 4, 4, 3)], ids=str)
def test_pkt_loss_wants_vectors(shape):
    with pytest.raises(ValueError, match=r"vectors \(B, C\): tap the layer that pools.*student="):
        PKTLoss()(np.ones((2, 3)), np.ones(shape))


@pytest.mark.alike
def test_pkt_loss_weighs_30000_unless_told():
    assert (PKTLoss().weight, PKTLoss(weight=1).weight) == (30_000.0, 1.0)


class TestPKTLoss(LossContract):
    make = PKTLoss
    layers = {"pool": "pool"}
