import hypothesis.extra.numpy as hnp
import keras
import numpy as np
import pytest
from contract import LossContract
from every_loss import assert_formula, draw, in_both_dtypes, properties, run, two_seeds
from formulas import log_softmax
from gradients import gradient
from hypothesis import given
from hypothesis import strategies as st
from models_for_tests import EAGER, cross_entropy, examples, net
from variants import alike_but_first, of_compiled_steps

from keras_kd import Distiller
from keras_kd.callbacks import LossWeightScheduler
from keras_kd.losses import DKDLoss, KDLoss

pytestmark = pytest.mark.core

logits = hnp.arrays("float64", (3, 4), elements=st.floats(-30.0, 30.0))
classes = hnp.arrays("int32", (3,), elements=st.integers(0, 3))
temperatures = st.floats(0.5, 20.0)


def decoupled(teacher, student, labels, temperature):
    """Zhao 2022, equations 3 to 7: TCKD and NCKD of one sample, in logarithms."""
    tckd, nckd = [], []
    rows = [np.reshape(z, (-1, teacher.shape[-1])) / temperature for z in (teacher, student)]
    for t, s, y in zip(*rows, np.ravel(labels), strict=True):
        coins, others = [], []
        for z in (t, s):
            log_p = log_softmax(z[None])[0]
            rest = np.delete(log_p, y)
            # log(1 - p_y), as the sum over the others
            log_rest = rest.max() + np.log(np.exp(rest - rest.max()).sum())
            coins.append(np.array([log_p[y], log_rest]))
            others.append(rest - log_rest)
        tckd.append((np.exp(coins[0]) * (coins[0] - coins[1])).sum())
        nckd.append((np.exp(others[0]) * (others[0] - others[1])).sum())
    return (np.reshape(part, labels.shape) for part in (tckd, nckd))


def labels_of(shape, seed=0):
    return np.random.default_rng(seed + 7).integers(0, shape[-1], shape[:-1])


@in_both_dtypes
@two_seeds
@alike_but_first("shape", [(3, 4, 5), (1, 3), (4, 7), (5, 2)], ids=str)
@alike_but_first("weights", [(4.0, 1.0, 8.0), (1.0, 0.5, 2.0)], ids=str)
def test_dkd_is_the_papers_formula(weights, shape, seed, dtype):
    temperature, alpha, beta = weights
    teacher, student = draw(shape, seed, scale=4.0)
    labels = labels_of(shape, seed)
    tckd, nckd = decoupled(teacher, student, labels, temperature)
    loss = DKDLoss(temperature, alpha=alpha, beta=beta, dtype=dtype, reduction=None)
    expected = temperature**2 * (alpha * tckd + beta * nckd)
    assert_formula(
        loss, expected, teacher, student, rounding=10 * temperature**2 * beta, labels=labels
    )


@pytest.mark.alike
def test_dkd_by_hand():
    # p_t = (1/2, 3/8, 1/8), p_s = (1/4, 3/8, 3/8), target 0. Coins: (1/2, 1/2) and (1/4, 3/4),
    # KL = 1/2 ln 2 + 1/2 ln(2/3). Others: (3/4, 1/4) and (1/2, 1/2), KL = 3/4 ln(3/2) - 1/4 ln 2.
    teacher, student = np.log([[4 / 8, 3 / 8, 1 / 8]]), np.log([[2 / 8, 3 / 8, 3 / 8]])
    tckd = 0.5 * np.log(2.0) + 0.5 * np.log(2.0 / 3.0)
    nckd = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    value = run(DKDLoss(1.0, alpha=3.0, beta=5.0), teacher, student, labels=np.array([0]))
    assert value == pytest.approx(3.0 * tckd + 5.0 * nckd, rel=1e-5)


@pytest.mark.alike
def test_dkd_weighs_the_target_1_and_the_others_8_at_temperature_4_unless_told():
    loss = DKDLoss()
    assert (loss.alpha, loss.beta, loss.weight) == (1.0, 8.0, 1.0)
    teacher, student = draw((3, 5))
    labels = labels_of((3, 5))
    tckd, nckd = decoupled(teacher, student, labels, 4.0)
    value = run(loss, teacher, student, labels=labels)
    assert value == pytest.approx(16.0 * (tckd + 8.0 * nckd).mean(), rel=1e-4)
    tckd, nckd = decoupled(teacher, student, labels, 9.0)
    told = run(loss, teacher, student, labels=labels, temperature=9.0)
    assert told == pytest.approx(81.0 * (tckd + 8.0 * nckd).mean(), rel=1e-4)


@pytest.mark.alike
@properties
@given(logits, logits, classes, temperatures)
def test_dkd_takes_hintons_loss_apart(teacher, student, labels, t):
    # Zhao 2022, equation 6: KD = TCKD + (1 - p_t[y]) NCKD.
    common = {"temperature": t, "dtype": "float64", "reduction": None}
    tckd, nckd = (
        run(DKDLoss(alpha=a, beta=b, **common), teacher, student, labels=labels)
        for a, b in [(1.0, 0.0), (0.0, 1.0)]
    )
    p_target = np.exp(log_softmax(teacher / t))[np.arange(3), labels]
    kd = run(KDLoss(**common), teacher, student)
    np.testing.assert_allclose(tckd + (1.0 - p_target) * nckd, kd, rtol=1e-8, atol=1e-8)


@pytest.mark.alike
@properties
@given(logits, logits, classes, st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_dkd_does_not_see_a_shift_of_the_logits(teacher, student, labels, shift_t, shift_s):
    loss = DKDLoss(2.0, dtype="float64")
    shifted = run(loss, teacher + shift_t, student + shift_s, labels=labels)
    assert shifted == pytest.approx(run(loss, teacher, student, labels=labels), rel=1e-8, abs=1e-8)


@pytest.mark.alike
@properties
@given(logits, logits, classes, temperatures)
def test_dkd_is_never_negative(teacher, student, labels, t):
    # Rounding of terms near 1 costs 1e-15, times beta T^2 of at most 3200.
    assert run(DKDLoss(t, dtype="float64"), teacher, student, labels=labels) >= -1e-10


@in_both_dtypes
@pytest.mark.parametrize("label", [0, 1, 2])
def test_dkd_is_finite_and_right_at_a_logit_gap_of_1000(label, dtype):
    teacher, student = np.array([[1000.0, 0.0, -500.0]]), np.array([[0.0, 1000.0, 3.0]])
    labels = np.array([label])
    tckd, nckd = decoupled(teacher, student, labels, 1.0)
    loss = DKDLoss(1.0, dtype=dtype)
    assert run(loss, teacher, student, labels=labels) == pytest.approx(
        (tckd + 8.0 * nckd)[0], rel=1e-6
    )
    slope = gradient(lambda z: loss(teacher, z, labels=labels), student, dtype)
    assert np.isfinite(slope).all()
    assert np.abs(slope).max() > 0.9


def test_dkd_keeps_a_small_chance_of_the_target_that_float32_would_round_away():
    # p_y is 1e-9 for the teacher and e times that for the student: TCKD = 1e-9 (e - 2) nearly.
    gap = np.log(1e-9)
    teacher, student = np.array([[gap, 0.0]]), np.array([[gap + 1.0, 0.0]])
    expected = next(decoupled(teacher, student, np.array([0]), 1.0))
    value = run(DKDLoss(1.0), teacher, student, labels=np.array([0]))
    assert value == pytest.approx(expected[0], rel=1e-2)


def test_dkd_of_constant_rows_is_zero_with_zero_gradient():
    teacher, student, labels = np.full((2, 3), 7.0), np.full((2, 3), -2.0), np.array([0, 2])
    loss = DKDLoss()
    assert run(loss, teacher, student, labels=labels) == pytest.approx(0.0, abs=1e-5)
    slope = gradient(lambda z: loss(teacher, z, labels=labels), student, "float32")
    np.testing.assert_allclose(slope, np.zeros((2, 3)), atol=1e-5)


def test_dkd_reads_labels_of_every_kind():
    teacher, student = draw((3, 4))
    numbers = np.array([3, 0, 1])
    expected = run(DKDLoss(), teacher, student, labels=numbers)
    for labels in (numbers[:, None], np.eye(4)[numbers], 0.9 * np.eye(4)[numbers] + 0.025):
        assert run(DKDLoss(), teacher, student, labels=labels) == expected


def test_dkd_of_masked_tokens_is_that_of_the_others():
    teacher, student = draw((2, 3, 4))
    labels, mask = labels_of((2, 3, 4)), np.array([[True, True, False], [True, False, False]])
    loss = DKDLoss()
    expected = run(loss, teacher[mask], student[mask], labels=labels[mask])
    np.testing.assert_allclose(
        run(loss, teacher, student, mask=mask, labels=labels), expected, rtol=1e-5
    )


def test_dkd_needs_labels_that_fit():
    teacher, student = draw((3, 4))
    with pytest.raises(ValueError, match=r"DKDLoss needs labels\. Received: labels=None"):
        DKDLoss()(teacher, student)
    with pytest.raises(ValueError, match=r"dkd_loss: labels must be class numbers \(3,\)"):
        DKDLoss()(teacher, student, labels=np.zeros(4, "int32"))
    with pytest.raises(ValueError, match="classes from 0 to 3"):
        DKDLoss()(teacher, student, labels=np.array([0, 4, 1]))
    with pytest.raises(ValueError, match="two classes or more"):
        DKDLoss()(np.zeros((3, 1)), np.zeros((3, 1)), labels=np.zeros(3, "int32"))


@of_compiled_steps
@pytest.mark.alike
@pytest.mark.parametrize(
    "labels", [[0, 4, 1] * 4, pytest.param([0, -1, 1] * 4, marks=pytest.mark.slow)], ids=str
)
def test_a_wrong_label_in_a_compiled_step_is_seen_in_the_loss(labels):
    x, _ = examples(12)
    distiller = Distiller(net(3), net(5, seed=1), alpha=0.0, kd_loss=DKDLoss())
    distiller.compile("sgd", jit_compile=keras.backend.backend() == "jax")
    y = np.array(labels)
    with pytest.raises(ValueError, match="DKDLoss was given labels that are no classes"):
        distiller.fit(x, keras.ops.convert_to_tensor(y), verbose=0)  # arrays are looked at before
    distiller = Distiller(net(3), net(5, seed=1), alpha=0.0, kd_loss=DKDLoss())
    distiller.compile("sgd", jit_compile=keras.backend.backend() == "jax")
    real = np.where((y >= 0) & (y < 3), 1.0, 0.0)
    assert np.isfinite(distiller.fit(x, y, sample_weight=real, verbose=0).history["kd_loss"][0])


@pytest.mark.alike
@pytest.mark.parametrize("name", ["alpha", "beta"])
@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_a_wrong_weight_is_refused(name, wrong):
    with pytest.raises(ValueError, match=rf"`{name}` must be .* at least 0\. Received: {name}="):
        DKDLoss(**{name: wrong})


@pytest.mark.alike
def test_dkd_is_warmed_up_by_a_callback():
    distiller = Distiller(net(3), net(5, seed=1), kd_loss=DKDLoss())
    distiller.compile("sgd", cross_entropy(), **EAGER)
    x, y = examples(12)
    seen = []

    class Watch(LossWeightScheduler):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(float(self.model.term_weights["kd_loss"]))

    warm_up = Watch("kd_loss", lambda epoch, weight: min(1.0, (epoch + 1) / 4))
    distiller.fit(x, y, epochs=5, verbose=0, callbacks=[warm_up])
    assert seen == [0.25, 0.5, 0.75, 1.0, 1.0]


class TestDKDLoss(LossContract):
    make = DKDLoss
    needs_labels = True

    def test_its_own_arguments_are_kept(self):
        copy = DKDLoss.from_config(DKDLoss(2.0, alpha=0.5, beta=6.0).get_config())
        assert (copy.temperature, copy.alpha, copy.beta) == (2.0, 0.5, 6.0)
