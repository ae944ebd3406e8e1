import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from contract import LossContract
from every_loss import assert_formula, draw, in_both_dtypes, properties, run, two_seeds
from formulas import softmax
from gradients import FLOAT64_STAYS, gradient
from hypothesis import given
from hypothesis import strategies as st
from variants import alike_but_first

from keras_kd.losses import DISTLoss

pytestmark = pytest.mark.core

logits = hnp.arrays("float64", (5, 4), elements=st.integers(-20, 20).map(float), unique=True)


def relations(teacher, student, beta, gamma, temperature):
    """Huang 2022, equations 6 to 10, with NumPy's own correlation, of samples (B, C)."""
    p, q = softmax(teacher / temperature), softmax(student / temperature)
    inter = [1.0 - np.corrcoef(a, b)[0, 1] for a, b in zip(p, q, strict=True)]
    intra = [1.0 - np.corrcoef(a, b)[0, 1] for a, b in zip(p.T, q.T, strict=True)]
    return temperature**2 * (beta * np.mean(inter) + gamma * np.mean(intra))


@in_both_dtypes
@two_seeds
@pytest.mark.parametrize("shape", [(2, 3), (4, 7), (7, 4)], ids=str)
@pytest.mark.parametrize("settings", [(1.0, 1.0, 1.0), (2.0, 0.0, 4.0), (0.0, 2.0, 4.0)], ids=str)
@pytest.mark.alike
def test_dist_is_the_papers_formula(settings, shape, seed, dtype):
    beta, gamma, temperature = settings
    teacher, student = draw(shape, seed)
    loss = DISTLoss(temperature, beta=beta, gamma=gamma, dtype=dtype)
    expected = relations(teacher, student, beta, gamma, temperature)
    exact = dtype == "float64" and FLOAT64_STAYS
    assert run(loss, teacher, student) == pytest.approx(expected, rel=1e-10 if exact else 1e-4)


def test_dist_over_classes_alone_is_each_samples_own():
    teacher, student = draw((4, 5))
    expected = [
        1.0 - np.corrcoef(softmax(t), softmax(s))[0, 1]
        for t, s in zip(teacher, student, strict=True)
    ]
    loss = DISTLoss(gamma=0.0, reduction=None)
    assert_formula(loss, np.array(expected), teacher, student)


@pytest.mark.alike
def test_dist_by_hand():
    # Rows: p_t = (1/2, 3/10, 1/5), p_s = (2/5, 2/5, 1/5) have correlation 2 / sqrt(7); over two
    # samples correlation is 1 or -1: class 0 falls in both, class 1 and 2 rise in one of them.
    teacher = np.log([[0.5, 0.3, 0.2], [0.4, 0.5, 0.1]])
    student = np.log([[0.4, 0.4, 0.2], [0.3, 0.3, 0.4]])
    inter = run(DISTLoss(gamma=0.0, reduction=None), teacher, student)[0]
    assert inter == pytest.approx(1.0 - 2.0 / np.sqrt(7.0), rel=1e-5)
    intra = run(DISTLoss(beta=0.0), teacher, student)
    assert intra == pytest.approx((0.0 + 2.0 + 2.0) / 3.0, rel=1e-5)


@pytest.mark.alike
def test_dist_weighs_2_with_both_parts_1_at_temperature_1_even_inside_a_distiller():
    loss = DISTLoss()
    assert (loss.weight, loss.beta, loss.gamma) == (2.0, 1.0, 1.0)
    teacher, student = draw((3, 5))
    for told in ({}, {"temperature": 9.0}):
        value = run(loss, teacher, student, **told)
        assert value == pytest.approx(relations(teacher, student, 1.0, 1.0, 1.0), rel=1e-5)
    value = run(DISTLoss(None), teacher, student, temperature=3.0)
    assert value == pytest.approx(relations(teacher, student, 1.0, 1.0, 3.0), rel=1e-4)


@pytest.mark.alike
@properties
@given(logits, logits)
def test_dist_is_between_0_and_twice_its_weights(teacher, student):
    value = run(DISTLoss(beta=1.0, gamma=3.0, dtype="float64"), teacher, student)
    assert -1e-6 <= value <= 8.0 + 1e-6


@pytest.mark.alike
@properties
@given(logits, logits, st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_dist_does_not_see_a_shift_of_the_logits(teacher, student, shift_t, shift_s):
    loss = DISTLoss(4.0, dtype="float64")
    shifted = run(loss, teacher + shift_t, student + shift_s)
    assert shifted == pytest.approx(run(loss, teacher, student), rel=1e-6, abs=1e-6)


@pytest.mark.alike
@properties
@given(logits, logits, st.permutations(range(5)))
def test_dist_does_not_see_the_order_of_samples(teacher, student, order):
    loss = DISTLoss(2.0, dtype="float64")
    moved = run(loss, teacher[order], student[order])
    assert moved == pytest.approx(run(loss, teacher, student), rel=1e-6, abs=1e-6)


@pytest.mark.alike
def test_dist_over_the_batch_does_not_see_a_scale_of_a_class():
    # p_s[:, c] = a_c p_t[:, c] keeps all correlations over the batch at 1.
    p = np.array([[0.3, 0.5, 0.2], [0.4, 0.3, 0.3], [0.2, 0.6, 0.2]])
    q = np.c_[p[:, 0] / 2.0, p[:, 1] / 4.0]
    student = np.log(np.c_[q, 1.0 - q.sum(1)])
    values = run(DISTLoss(beta=0.0, dtype="float64"), np.log(p), student)
    third = 1.0 - np.corrcoef(p[:, 2], 1.0 - q.sum(1))[0, 1]
    assert values == pytest.approx(third / 3.0, rel=1e-5)


@pytest.mark.alike
def test_dist_of_a_batch_of_one_compares_classes_alone():
    teacher, student = draw((1, 5))
    expected = 1.0 - np.corrcoef(softmax(teacher[0]), softmax(student[0]))[0, 1]
    assert run(DISTLoss(), teacher, student) == pytest.approx(expected, rel=1e-5)
    loss = DISTLoss(beta=0.0)
    assert run(loss, teacher, student) == 0.0
    slope = gradient(lambda z: loss(teacher, z), student, "float32")
    np.testing.assert_array_equal(slope, np.zeros((1, 5)))


@alike_but_first("level", [0.0, 0.1, 60000.0])
def test_dist_of_constant_rows_is_1_with_a_gradient_of_usual_size(level):
    teacher, student = draw((3, 7))[0], np.full((3, 7), level)
    loss = DISTLoss()
    assert run(loss, teacher, student) == pytest.approx(2.0, rel=1e-6)
    slope = gradient(lambda z: loss(teacher, z), student, "float32")
    assert 0.01 < np.abs(slope).max() < 10.0
    assert run(loss, student, teacher) == pytest.approx(2.0, rel=1e-6)
    slope = gradient(lambda z: loss(student, z), teacher, "float32")
    np.testing.assert_allclose(slope, np.zeros((3, 7)), atol=1e-6)


def test_dist_reads_chances_that_are_too_small_for_a_float():
    # Class 2 has p near e^-500 for both; over the batch it rises and falls with the teacher's.
    teacher = np.array([[0.0, 0.0, -500.0], [0.0, 0.0, -501.0], [0.0, 0.0, -502.0]])
    student = np.array([[0.0, 0.0, -400.0], [0.0, 0.0, -401.0], [0.0, 0.0, -402.0]])
    loss = DISTLoss(beta=0.0)
    assert run(loss, teacher, student) == pytest.approx(2.0 / 3.0, rel=1e-5)
    slope = gradient(lambda z: loss(teacher, z), student + np.eye(3), "float32")
    assert np.isfinite(slope).all()


def test_dist_takes_tokens_and_pixels_for_samples():
    teacher, student = draw((2, 3, 2, 4))
    rows = [z.reshape(-1, 4) for z in (teacher, student)]
    each = run(DISTLoss(reduction=None), teacher, student)
    assert each.shape == (2,)
    assert each.mean() == pytest.approx(relations(*rows, 1.0, 1.0, 1.0), rel=1e-5)


@pytest.mark.alike
def test_dist_leaves_padding_out_however_much_there_is():
    teacher, student = draw((2, 4, 3))
    mask = np.array([[True, True, True, False], [True, True, False, False]])
    expected = relations(teacher[mask], student[mask], 1.0, 1.0, 1.0)
    assert run(DISTLoss(), teacher, student, mask=mask) == pytest.approx(expected, rel=1e-5)
    further = [np.concatenate([z, 100.0 * z], axis=1) for z in (teacher, student)]
    mask = np.concatenate([mask, np.zeros_like(mask)], axis=1)
    assert run(DISTLoss(), *further, mask=mask) == pytest.approx(expected, rel=1e-5)
    loss = DISTLoss()
    slope = gradient(lambda z: loss(further[0], z, mask=mask), further[1], "float32")
    plain = gradient(lambda z: loss(further[0][mask], z), further[1][mask], "float32")
    np.testing.assert_allclose(slope[mask], plain, atol=1e-6)
    np.testing.assert_array_equal(slope[~mask], np.zeros_like(slope[~mask]))
    nothing = np.zeros_like(mask)
    assert run(loss, *further, mask=nothing) == 0.0
    slope = gradient(lambda z: loss(further[0], z, mask=nothing), further[1], "float32")
    np.testing.assert_array_equal(slope, np.zeros(slope.shape))


@pytest.mark.alike
@pytest.mark.parametrize("name", ["beta", "gamma"])
@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_a_wrong_weight_is_refused(name, wrong):
    with pytest.raises(ValueError, match=rf"`{name}` must be .* at least 0\. Received: {name}="):
        DISTLoss(**{name: wrong})
    with pytest.raises(ValueError, match=r"must have one shape.*Received: teacher=\(2, 3\)"):
        DISTLoss()(np.ones((2, 3)), np.ones((2, 4)))


class TestDISTLoss(LossContract):
    make = DISTLoss

    def test_its_own_arguments_are_kept(self):
        copy = DISTLoss.from_config(DISTLoss(4.0, beta=2.0, gamma=3.0).get_config())
        assert (copy.temperature, copy.beta, copy.gamma) == (4.0, 2.0, 3.0)
