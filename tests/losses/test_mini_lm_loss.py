import json

import keras
import numpy as np
import pytest
from contract import LossContract
from every_loss import in_both_dtypes, run, two_seeds
from formulas import log_softmax
from gradients import FLOAT64_STAYS, gradient
from nets_for_losses import attending
from variants import alike_but_first

from keras_kd import Distiller
from keras_kd.losses import MiniLMLoss

pytestmark = pytest.mark.core
NAMES = ("query", "key", "value")
DEFAULTS = {"batch": 2, "length": 4, "scale": 2.0}


def vectors(heads, size, seed=0, **kwargs):
    batch, length, scale = (kwargs.get(k, v) for k, v in DEFAULTS.items())
    rng = np.random.default_rng(seed)
    return {name: scale * rng.normal(size=(batch, length, heads, size)) for name in NAMES}


def split(of, heads):
    """The concatenated heads, `(B, L, width)`, in parts of one width."""
    joined = {name: x.reshape(*x.shape[:2], -1) for name, x in of.items()}
    return {name: np.stack(np.split(x, heads, axis=-1), axis=2) for name, x in joined.items()}


def mini_lm(teacher, student, lengths=None):
    """Wang et al. 2020, sample by sample and head by head, over the first `lengths` positions."""
    batch, length, heads, _ = teacher["query"].shape
    each = np.zeros(batch)
    for b, h in np.ndindex(batch, heads):
        n = length if lengths is None else lengths[b]
        if not n:
            continue
        for one, other in (("query", "key"), ("value", "value")):
            log_t, log_s = (
                log_softmax(x[one][b, :n, h] @ x[other][b, :n, h].T / np.sqrt(x[one].shape[-1]))
                for x in (teacher, student)
            )
            rows = (np.exp(log_t) * (log_t - log_s)).sum(axis=-1)
            each[b] += rows.mean() / heads
    return each


@in_both_dtypes
@two_seeds
@alike_but_first("sizes", [(3, 3), (5, 2)], ids=str)
def test_mini_lm_loss_is_the_papers_formula(sizes, seed, dtype):
    teacher, student = vectors(3, sizes[0], seed), vectors(3, sizes[1], seed + 10)
    each = run(MiniLMLoss(dtype=dtype, reduction=None), teacher, student)
    rtol = 1e-9 if dtype == "float64" and FLOAT64_STAYS else 1e-4
    np.testing.assert_allclose(each, mini_lm(teacher, student), rtol=rtol)


@pytest.mark.alike
def test_mini_lm_loss_by_hand():
    # Two positions, one head of size 1. Teacher: q k = (ln 3, 0) in the first row, else 0;
    # student: 0 everywhere. KL((3/4, 1/4), (1/2, 1/2)) in one of two rows; the values are alike.
    column = np.array([1.0, 0.0]).reshape(1, 2, 1, 1)
    teacher = {"query": np.log(3.0) * column, "key": column, "value": column}
    student = {"query": 0.0 * column, "key": column, "value": column}
    row = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    assert run(MiniLMLoss(), teacher, student) == pytest.approx(row / 2.0, rel=1e-5)


@pytest.mark.parametrize("relation_heads", [1, 6])
def test_relation_heads_split_the_concatenated_heads_anew(relation_heads):
    teacher, student = vectors(2, 6), vectors(3, 4, seed=1)
    expected = mini_lm(split(teacher, relation_heads), split(student, relation_heads))
    each = run(MiniLMLoss(relation_heads, reduction=None), teacher, student)
    np.testing.assert_allclose(each, expected, rtol=1e-4)


def test_as_many_relation_heads_as_heads_change_nothing():
    teacher, student = vectors(3, 4), vectors(3, 2, seed=1)
    expected = run(MiniLMLoss(), teacher, student)
    assert run(MiniLMLoss(3), teacher, student) == pytest.approx(expected, rel=1e-6)


def test_mini_lm_loss_leaves_padding_out():
    teacher, student = vectors(2, 3, batch=3), vectors(2, 3, seed=1, batch=3)
    mask = np.array([[True, True, False, False], [True] * 4, [False] * 4])
    loss = MiniLMLoss(reduction=None)
    each = run(loss, teacher, student, mask=mask)
    np.testing.assert_allclose(each, mini_lm(teacher, student, [2, 4, 0]), rtol=1e-4)
    assert each[2] == 0.0
    longer = [
        {name: np.concatenate([x, np.full((3, 2, 2, 3), fill)], 1) for name, x in of.items()}
        for of, fill in ((teacher, 7.0), (student, -5.0))
    ]
    padded = run(loss, *longer, mask=np.pad(mask, ((0, 0), (0, 2))))
    np.testing.assert_allclose(padded, each, rtol=1e-5)
    slope = gradient(
        lambda z: MiniLMLoss()(teacher, {**student, "query": z}, mask=mask),
        student["query"],
        "float32",
    )
    assert np.isfinite(slope).all()
    assert (slope[0, 2:] == 0.0).all()


@two_seeds
def test_mini_lm_loss_sees_no_rotation_of_a_heads_vectors(seed):
    teacher, student = vectors(2, 4, seed), vectors(2, 4, seed + 5)
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(4, 4)))
    turned = {name: x @ rotation for name, x in student.items()}
    loss = MiniLMLoss(reduction=None)
    np.testing.assert_allclose(run(loss, teacher, turned), run(loss, teacher, student), rtol=1e-4)


def test_other_numbers_of_heads_need_relation_heads():
    message = r"different numbers of heads.*MiniLMLoss\(relation_heads=\.\.\.\).*Received: teacher="
    with pytest.raises(ValueError, match=message):
        MiniLMLoss()(vectors(2, 3), vectors(3, 2))
    student, teacher = attending(6, 2, 5, "student"), attending(8, 4, 6, "teacher")
    with pytest.raises(ValueError, match=message):
        Distiller(
            student, teacher, feature_losses=[MiniLMLoss(layers={"attention2": "attention2"})]
        )


def test_relation_heads_must_divide_the_width():
    with pytest.raises(ValueError, match=r"must divide heads \* size.*relation_heads=4"):
        MiniLMLoss(4)(vectors(2, 4), vectors(2, 3))
    with pytest.raises(ValueError, match=r"`relation_heads` must be a whole number of at least 1"):
        MiniLMLoss(0)


def test_mini_lm_loss_wants_attention_of_one_length():
    with pytest.raises(ValueError, match=r"needs vectors \{'query', 'key', 'value'\}"):
        MiniLMLoss()(np.ones((2, 4, 3)), np.ones((2, 4, 3)))
    with pytest.raises(ValueError, match="self-attention over sequences of one length"):
        MiniLMLoss()(vectors(2, 3, length=4), vectors(2, 3, length=5))


def test_mini_lm_loss_reloads_its_own_arguments():
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(MiniLMLoss(6))))
    copy = keras.saving.deserialize_keras_object(config)
    assert (copy.relation_heads, copy.weight, copy.side) == (6, 1.0, "attention_vectors")


def with_relation_heads(**kwargs):
    return MiniLMLoss(2, **kwargs)


class TestMiniLMLoss(LossContract):
    make = with_relation_heads
    half = 600.0  # whose products overflow float16
    nets = "attending"
    layers = {"attention2": "attention2"}

    def values(self, seed=0):
        return vectors(2, 3, seed, scale=1.0), vectors(2, 3, seed + 1, scale=1.0)
