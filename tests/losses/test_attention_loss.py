import json

import keras
import numpy as np
import pytest
from contract import LossContract
from every_loss import assert_formula, draw, in_both_dtypes, run, two_seeds
from formulas import softmax
from gradients import gradient
from nets_for_losses import attending
from variants import alike_but_first

from keras_kd import Distiller
from keras_kd.losses import AttentionLoss

pytestmark = pytest.mark.core


def kl(teacher, student, mask=None):
    """MobileBERT: KL of each row, its mean over heads and the rows that are real."""
    mask = np.ones((len(teacher), teacher.shape[2]), bool) if mask is None else mask
    each = []
    for t, s, keep in zip(teacher, student, mask, strict=True):
        rows = [
            np.mean([(p * np.log(p / q)).sum() for p, q in zip(t[:, i], s[:, i], strict=True)])
            for i in np.flatnonzero(keep)
        ]
        each.append(np.mean(rows) if rows else 0.0)
    return np.array(each)


def mse(teacher, student):
    """TinyBERT: the mean of squares."""
    return ((teacher - student) ** 2).mean(axis=(1, 2, 3))


@in_both_dtypes
@two_seeds
@alike_but_first("shape", [(2, 3, 4, 4), (1, 1, 2, 5), (3, 3, 3, 3)], ids=str)
def test_attention_loss_is_the_papers_formula(shape, seed, dtype):
    teacher, student = draw(shape, seed)
    loss = AttentionLoss("mse", dtype=dtype, reduction=None)
    assert_formula(loss, mse(teacher, student), teacher, student)
    teacher, student = softmax(teacher), softmax(student)
    loss = AttentionLoss(dtype=dtype, reduction=None)
    assert_formula(loss, kl(teacher, student), teacher, student)


def test_attention_loss_of_a_sure_teacher_and_an_unsure_student():
    # KL((1, 0), (1/4, 3/4)) = ln 4; products 2 and 0 against 0 and 1: (4 + 1) / 2.
    teacher, student = np.array([[[[1.0, 0.0]]]]), np.array([[[[0.25, 0.75]]]])
    assert run(AttentionLoss("kl"), teacher, student) == pytest.approx(np.log(4.0))
    teacher, student = np.array([[[[2.0, 0.0]]]]), np.array([[[[0.0, 1.0]]]])
    assert run(AttentionLoss("mse"), teacher, student) == pytest.approx(2.5)


@pytest.mark.parametrize("distance", ["kl", "mse"])
def test_heads_are_averaged_where_their_number_differs(distance):
    teacher, _ = draw((2, 4, 3, 3))
    _, student = draw((2, 2, 3, 3))
    if distance == "kl":
        teacher, student = softmax(teacher), softmax(student)
    means = [value.mean(axis=1, keepdims=True) for value in (teacher, student)]
    expected = {"kl": kl, "mse": mse}[distance](*means)
    assert_formula(AttentionLoss(distance, reduction=None), expected, teacher, student)


@pytest.mark.alike
@two_seeds
@pytest.mark.parametrize("distance", ["kl", "mse"])
def test_attention_loss_does_not_see_the_order_of_heads(distance, seed):
    teacher, student = (softmax(value) for value in draw((2, 4, 3, 3), seed))
    order = np.random.default_rng(seed).permutation(4)
    loss = AttentionLoss(distance, reduction=None)
    ordered = run(loss, teacher[:, order], student[:, order])
    np.testing.assert_allclose(ordered, run(loss, teacher, student), rtol=1e-4)


def test_kl_leaves_rows_of_padding_out():
    teacher, student = (softmax(value) for value in draw((3, 2, 4, 4)))
    mask = np.array([[True, True, False, False], [True] * 4, [False] * 4])
    each = run(AttentionLoss(reduction=None), teacher, student, mask=mask)
    np.testing.assert_allclose(each, kl(teacher, student, mask), rtol=1e-4)
    assert each[2] == 0.0


def test_mse_leaves_rows_and_columns_of_padding_out():
    teacher, student = draw((3, 2, 4, 4))
    mask = np.array([[True, True, False, False], [True] * 4, [False] * 4])
    expected = [
        mse(teacher[i : i + 1, :, :n, :n], student[i : i + 1, :, :n, :n])[0]
        for i, n in enumerate([2, 4])
    ]
    each = run(AttentionLoss("mse", reduction=None), teacher, student, mask=mask)
    np.testing.assert_allclose(each, [*expected, 0.0], rtol=1e-5)
    # Keys of another sequence have no mask here: queries alone are left out.
    each = run(AttentionLoss("mse", reduction=None), teacher[..., :3], student[..., :3], mask=mask)
    assert each[0] == pytest.approx(
        mse(teacher[:1, :, :2, :3], student[:1, :, :2, :3])[0], rel=1e-5
    )


@pytest.mark.parametrize("distance", ["kl", "mse"])
def test_padding_any_further_changes_nothing(distance):
    teacher, student = draw((2, 2, 3, 3))
    mask = np.array([[True, True, True], [True, True, False]])
    wide = [np.pad(value, ((0, 0), (0, 0), (0, 2), (0, 2))) + 0.5 for value in (teacher, student)]
    for value, narrow in zip(wide, (teacher, student), strict=True):
        value[:, :, :3, :3] = narrow
    if distance == "kl":  # Keras gives what it hides a probability of 0
        hidden = np.where(mask, 0.0, -np.inf)[:, None, None, :]
        longer = np.pad(hidden, ((0, 0), (0, 0), (0, 0), (0, 2)), constant_values=-np.inf)
        teacher, student = softmax(teacher + hidden), softmax(student + hidden)
        wide = [softmax(value + longer) for value in wide]
    loss = AttentionLoss(distance, reduction=None)
    each = run(loss, teacher, student, mask=mask)
    padded = run(loss, *wide, mask=np.pad(mask, ((0, 0), (0, 2))))
    np.testing.assert_allclose(padded, each, rtol=1e-5)


def test_kl_of_probabilities_of_0_is_finite_with_a_finite_gradient():
    causal = np.where(np.tril(np.ones((4, 4), bool)), 0.0, -np.inf)
    teacher, student = (softmax(value + causal) for value in draw((2, 3, 4, 4)))
    loss = AttentionLoss()
    kept = [np.maximum(value, 1e-300) for value in (teacher, student)]
    assert run(loss, teacher, student) == pytest.approx(kl(*kept).mean(), rel=1e-4)
    for s in (student, np.zeros_like(student)):
        slope = gradient(lambda z: loss(teacher, z), s, "float32")
        assert np.isfinite(slope).all()
    assert np.isfinite(run(loss, teacher, np.zeros_like(student)))


@pytest.mark.parametrize(
    "shapes",
    [((2, 3, 4), (2, 3, 4)), ((2, 3, 4, 4), (2, 3, 5, 5)), ((2, 3, 4, 4), (2, 3, 4, 5))],
    ids=str,
)
def test_attention_loss_wants_attention_of_equal_lengths(shapes):
    with pytest.raises(ValueError, match=r"needs attention \(B, heads, T, S\) of equal lengths"):
        AttentionLoss()(*(np.ones(shape) for shape in shapes))


def test_the_distance_is_kl_or_mse():
    with pytest.raises(ValueError, match=r"`distance` must be 'kl' or 'mse'.*distance='l2'"):
        AttentionLoss("l2")
    assert AttentionLoss().side == "attention_scores"
    loss = AttentionLoss("mse")
    assert loss.side == "attention_logits"
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    copy = keras.saving.deserialize_keras_object(config)
    assert (copy.distance, copy.side, copy.weight) == ("mse", "attention_logits", 1.0)


@pytest.mark.alike
def test_models_of_different_lengths_are_refused_at_once():
    student, teacher = attending(6, 2, 5, "student"), attending(8, 2, 6, "teacher")
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Reshape((16, 4))(inputs)
    long = keras.layers.MultiHeadAttention(2, 4, name="long")(x, x)
    long = keras.layers.GlobalAveragePooling1D()(long)
    other = keras.Model(inputs, keras.layers.Dense(10)(long))
    with pytest.raises(
        ValueError, match=r"student=\(None, 2, 16, 16\), teacher=\(None, 2, 8, 8\).*equal lengths"
    ):
        Distiller(other, teacher, feature_losses=[AttentionLoss(layers={"long": "attention1"})])
    Distiller(student, teacher, feature_losses=[AttentionLoss(layers={"attention1": "attention2"})])


class TestAttentionLoss(LossContract):
    make = AttentionLoss
    nets = "attending"
    layers = {"attention2": "attention2"}
    half = 1.0  # probabilities

    def values(self, seed=0):
        return tuple(softmax(value) for value in draw((3, 2, 4, 4), seed, scale=0.3))


def make_mse(**kwargs):
    return AttentionLoss("mse", **{"name": "attention_loss", **kwargs})


class TestAttentionLossMSE(LossContract):
    make = make_mse
    nets = "attending"
    layers = {"attention2": "attention2"}

    def values(self, seed=0):
        return draw((3, 2, 4, 4), seed)
