import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from contract import LossContract, kd_distance
from every_loss import assert_formula, draw, in_both_dtypes, properties, run, two_seeds
from formulas import log_softmax
from gradients import gradient
from hypothesis import given
from hypothesis import strategies as st
from variants import alike_but_first

from keras_kd.losses import NKDLoss

pytestmark = pytest.mark.core

logits = hnp.arrays("float64", (3, 4), elements=st.floats(-30.0, 30.0))
classes = hnp.arrays("int32", (3,), elements=st.integers(0, 3))


def normalised(teacher, student, labels, gamma, temperature):
    """Yang 2023, equation 7: -T_t log S_t - gamma lambda^2 sum of N(T_i) log N(S_i)."""
    values = []
    rows = [np.reshape(z, (-1, teacher.shape[-1])) for z in (teacher, student)]
    for t, s, y in zip(*rows, np.ravel(labels), strict=True):
        of_target = -np.exp(log_softmax(t)[y]) * log_softmax(s)[y]
        t_rest, s_rest = (log_softmax(np.delete(z, y) / temperature) for z in (t, s))
        of_others = -(np.exp(t_rest) * s_rest).sum()
        values.append(of_target + gamma * temperature**2 * of_others)
    return np.reshape(values, labels.shape)


def labels_of(shape, seed=0):
    return np.random.default_rng(seed + 7).integers(0, shape[-1], shape[:-1])


@in_both_dtypes
@two_seeds
@alike_but_first("shape", [(3, 4, 5), (1, 3), (4, 7), (5, 2)], ids=str)
@alike_but_first(("temperature", "gamma"), [(3.0, 0.5), (1.0, 1.5)], ids=str)
def test_nkd_is_the_papers_formula(temperature, gamma, shape, seed, dtype):
    teacher, student = draw(shape, seed, scale=4.0)
    labels = labels_of(shape, seed)
    expected = normalised(teacher, student, labels, gamma, temperature)
    loss = NKDLoss(temperature, gamma=gamma, dtype=dtype, reduction=None)
    assert_formula(loss, expected, teacher, student, rounding=temperature**2, labels=labels)


@pytest.mark.alike
def test_nkd_by_hand():
    # p_t = (1/2, 3/8, 1/8), p_s = (1/4, 3/8, 3/8), target 0: at the target 1/2 ln 4; the others
    # (3/4, 1/4) against (1/2, 1/2): ln 2.
    teacher, student = np.log([[4 / 8, 3 / 8, 1 / 8]]), np.log([[2 / 8, 3 / 8, 3 / 8]])
    value = run(NKDLoss(gamma=3.0), teacher, student, labels=np.array([0]))
    assert value == pytest.approx(np.log(2.0) + 3.0 * np.log(2.0), rel=1e-6)


def test_nkd_has_temperature_1_and_gamma_1_5_unless_told_even_inside_a_distiller():
    teacher, student = draw((3, 5))
    labels = labels_of((3, 5))
    for told in ({}, {"temperature": 9.0}):
        value = run(NKDLoss(), teacher, student, labels=labels, **told)
        expected = normalised(teacher, student, labels, 1.5, 1.0).mean()
        assert value == pytest.approx(expected, rel=1e-5)
    value = run(NKDLoss(None), teacher, student, labels=labels, temperature=9.0)
    expected = normalised(teacher, student, labels, 1.5, 9.0).mean()
    assert value == pytest.approx(expected, rel=1e-5)


@pytest.mark.alike
@properties
@given(logits, logits, classes, st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_nkd_does_not_see_a_shift_of_the_logits(teacher, student, labels, shift_t, shift_s):
    loss = NKDLoss(2.0, dtype="float64")
    shifted = run(loss, teacher + shift_t, student + shift_s, labels=labels)
    assert shifted == pytest.approx(run(loss, teacher, student, labels=labels), rel=1e-8, abs=1e-8)


@pytest.mark.alike
@properties
@given(logits, logits, classes)
def test_nkd_of_the_others_is_least_where_they_are_the_teachers(teacher, student, labels):
    # With the student's target kept, Gibbs' inequality for the rest.
    best = np.array(teacher)
    rows = np.arange(3)
    for z, y in ((best, labels), (student, labels)):
        z[rows, y] = 60.0  # so sure of the target that its own term is the same
    loss = NKDLoss(dtype="float64")
    assert (
        run(loss, teacher, best, labels=labels) <= run(loss, teacher, student, labels=labels) + 1e-9
    )


@in_both_dtypes
@pytest.mark.parametrize("label", [0, 1, 2])
def test_nkd_is_finite_and_right_at_a_logit_gap_of_1000(label, dtype):
    teacher, student = np.array([[1000.0, 0.0, -500.0]]), np.array([[0.0, 1000.0, 3.0]])
    labels = np.array([label])
    loss = NKDLoss(dtype=dtype)
    expected = normalised(teacher, student, labels, 1.5, 1.0)[0]
    assert run(loss, teacher, student, labels=labels) == pytest.approx(expected, rel=1e-6)
    slope = gradient(lambda z: loss(teacher, z, labels=labels), student, dtype)
    assert np.isfinite(slope).all()


def test_nkd_of_constant_rows_is_the_entropies_with_finite_gradient():
    # 1/3 ln 3 at the target, 1.5 ln 2 for two equal others.
    teacher, student, labels = np.full((2, 3), 7.0), np.full((2, 3), -2.0), np.array([0, 2])
    loss = NKDLoss()
    expected = np.log(3.0) / 3.0 + 1.5 * np.log(2.0)
    assert run(loss, teacher, student, labels=labels) == pytest.approx(expected, rel=1e-6)
    slope = gradient(lambda z: loss(teacher, z, labels=labels), student, "float32")
    # Only the target's term: p_t[y] (p_s - onehot), over a batch of 2.
    np.testing.assert_allclose(slope[0], np.array([-2.0, 1.0, 1.0]) / 18.0, rtol=1e-5)


def test_nkd_of_masked_tokens_is_that_of_the_others():
    teacher, student = draw((2, 3, 4))
    labels, mask = labels_of((2, 3, 4)), np.array([[True, True, False], [True, False, False]])
    loss = NKDLoss()
    expected = run(loss, teacher[mask], student[mask], labels=labels[mask])
    np.testing.assert_allclose(
        run(loss, teacher, student, mask=mask, labels=labels), expected, rtol=1e-5
    )


def test_nkd_needs_labels_that_fit():
    teacher, student = draw((3, 4))
    with pytest.raises(ValueError, match=r"NKDLoss needs labels\. Received: labels=None"):
        NKDLoss()(teacher, student)
    with pytest.raises(ValueError, match=r"nkd_loss: labels must be class numbers \(3,\)"):
        NKDLoss()(teacher, student, labels=np.zeros(4, "int32"))


@pytest.mark.alike
@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_a_wrong_gamma_is_refused(wrong):
    with pytest.raises(ValueError, match=r"`gamma` must be .* at least 0\. Received: gamma="):
        NKDLoss(gamma=wrong)


class TestNKDLoss(LossContract):
    make = NKDLoss
    needs_labels = True
    equal_is_zero = False
    distance = kd_distance

    def test_its_own_arguments_are_kept(self):
        copy = NKDLoss.from_config(NKDLoss(2.0, gamma=0.5).get_config())
        assert (copy.temperature, copy.gamma) == (2.0, 0.5)
