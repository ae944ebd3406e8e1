import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from contract import LossContract
from every_loss import assert_formula, draw, every_shape, in_both_dtypes, properties, run, two_seeds
from formulas import softmax
from gradients import assert_gradient, gradient
from hypothesis import given
from hypothesis import strategies as st
from variants import alike_but_first

from keras_kd.losses import JSDLoss, KDLoss, ReverseKDLoss

pytestmark = pytest.mark.core

logits = hnp.arrays("float64", (2, 4), elements=st.floats(-50.0, 50.0))
betas = st.floats(0.01, 0.99)


def generalised(teacher, student, beta, temperature):
    """Agarwal 2024, equation 1, times T^2."""
    p, q = softmax(teacher / temperature), softmax(student / temperature)
    m = beta * p + (1.0 - beta) * q
    values = beta * (p * np.log(p / m)).sum(-1) + (1.0 - beta) * (q * np.log(q / m)).sum(-1)
    return temperature**2 * values


@in_both_dtypes
@two_seeds
@every_shape
@alike_but_first(("temperature", "beta"), [(4.0, 0.1), (1.0, 0.5)], ids=str)
def test_jsd_is_the_papers_formula(temperature, beta, shape, seed, dtype):
    teacher, student = draw(shape, seed)
    loss = JSDLoss(temperature, beta=beta, dtype=dtype, reduction=None)
    expected = generalised(teacher, student, beta, temperature)
    assert_formula(loss, expected, teacher, student, rounding=temperature**2)


@pytest.mark.alike
def test_jsd_by_hand():
    # p_t = (1/2, 1/2), p_s = (1, 0): m = (3/4, 1/4) and
    # JSD = 1/2 (1/2 ln(2/3) + 1/2 ln 2) + 1/2 ln(4/3).
    value = run(JSDLoss(), np.zeros((1, 2)), np.array([[99.0, 0.0]]))
    expected = 0.25 * np.log(2.0 / 3.0) + 0.25 * np.log(2.0) + 0.5 * np.log(4.0 / 3.0)
    assert value == pytest.approx(expected, rel=1e-6)


@pytest.mark.alike
def test_jsd_has_temperature_1_unless_told_even_inside_a_distiller():
    teacher, student = draw((3, 5))
    for told in ({}, {"temperature": 9.0}):
        value = run(JSDLoss(), teacher, student, **told)
        assert value == pytest.approx(generalised(teacher, student, 0.5, 1.0).mean(), rel=1e-5)
    value = run(JSDLoss(None), teacher, student, temperature=9.0)
    assert value == pytest.approx(generalised(teacher, student, 0.5, 9.0).mean(), rel=1e-3)


@pytest.mark.alike
@properties
@given(logits, logits, betas)
def test_jsd_is_between_0_and_the_entropy_of_beta(teacher, student, beta):
    bound = -beta * np.log(beta) - (1.0 - beta) * np.log(1.0 - beta)
    value = run(JSDLoss(beta=beta, dtype="float64"), teacher, student)
    assert -1e-11 <= value <= bound + 1e-11


@pytest.mark.alike
@properties
@given(logits, logits, betas)
def test_jsd_is_the_same_with_roles_and_beta_exchanged(teacher, student, beta):
    one, other = JSDLoss(beta=beta, dtype="float64"), JSDLoss(beta=1.0 - beta, dtype="float64")
    assert run(one, teacher, student) == pytest.approx(run(other, student, teacher), abs=1e-11)


@pytest.mark.alike
@properties
@given(logits, logits, st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_jsd_does_not_see_a_shift_of_the_logits(teacher, student, shift_t, shift_s):
    loss = JSDLoss(2.0, dtype="float64")
    shifted = run(loss, teacher + shift_t, student + shift_s)
    assert shifted == pytest.approx(run(loss, teacher, student), rel=1e-8, abs=1e-8)


@pytest.mark.alike
def test_jsd_tends_to_kd_and_to_its_reverse_at_the_ends_of_beta():
    teacher, student = draw((3, 5), scale=1.0)
    for beta, other in [(1e-4, KDLoss), (1.0 - 1e-4, ReverseKDLoss)]:
        value = run(JSDLoss(beta=beta, dtype="float64"), teacher, student)
        limit = 1e-4 * run(other(1.0, dtype="float64"), teacher, student)
        assert value == pytest.approx(limit, rel=5e-3)


@in_both_dtypes
def test_jsd_is_exact_at_a_logit_gap_of_1000(dtype):
    # Two that share nothing: ln 2. For an undecided student m = (3/4, 1/4) and the gradient is
    # (1 - beta) p_s (log p_s/m - KL(p_s, m)).
    teacher, student = np.array([[1000.0, 0.0]]), np.array([[0.0, 1000.0]])
    loss = JSDLoss(dtype=dtype)
    assert run(loss, teacher, student) == pytest.approx(np.log(2.0), rel=1e-6)
    slope = gradient(lambda z: loss(teacher, z), student, dtype)
    np.testing.assert_allclose(slope, np.zeros((1, 2)), atol=1e-6)
    logs = np.log([0.5 / 0.75, 0.5 / 0.25])
    slope = gradient(lambda z: loss(teacher, z), np.zeros((1, 2)), dtype)
    np.testing.assert_allclose(slope, [0.25 * (logs - logs.mean())], rtol=1e-5)


def test_jsd_gradient_equals_central_differences_at_another_beta():
    teacher, student = draw((2, 3, 4), scale=4.0)
    loss = JSDLoss(0.7, beta=0.9, dtype="float64")
    assert_gradient(lambda z: loss(teacher, z), student)


def test_jsd_of_masked_tokens_is_that_of_the_others():
    teacher, student = draw((2, 3, 4))
    mask = np.array([[True, True, False], [True, False, False]])
    expected = generalised(teacher[mask], student[mask], 0.5, 1.0).mean()
    assert run(JSDLoss(), teacher, student, mask=mask) == pytest.approx(expected, rel=1e-5)


@pytest.mark.alike
@pytest.mark.parametrize("wrong", [-0.1, 0.0, 1.0, 1.1, np.nan])
def test_a_beta_that_is_no_mixture_is_refused(wrong):
    with pytest.raises(ValueError, match=r"`beta` must be .*Received: beta="):
        JSDLoss(beta=wrong)


class TestJSDLoss(LossContract):
    make = JSDLoss

    def test_its_own_arguments_are_kept(self):
        copy = JSDLoss.from_config(JSDLoss(2.0, beta=0.25).get_config())
        assert (copy.temperature, copy.beta) == (2.0, 0.25)
