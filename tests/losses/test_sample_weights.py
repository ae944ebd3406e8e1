"""How sample weights and reductions work on every loss."""

import numpy as np
import pytest
from every_loss import (
    draw,
    every_loss,
    every_loss_and_shape,
    labels_for,
    run,
    sums_tokens,
    two_seeds,
)
from gradients import gradient
from variants import alike_but_first

pytestmark = pytest.mark.core


@two_seeds
@every_loss_and_shape
def test_sample_weights_weigh_samples_also_where_the_batch_is_as_long_as_a_sequence(
    cls, shape, seed
):
    teacher, student = draw(shape, seed)
    weights = np.random.default_rng(seed + 10).random(shape[0])
    labels = labels_for(shape)
    each = run(cls(reduction=None), teacher, student, labels=labels)
    expected = np.mean([w * sample.mean() for w, sample in zip(weights, each, strict=True)])
    for given in (weights, weights[:, None]):
        weighted = run(cls(), teacher, student, given, labels=labels)
        assert weighted == pytest.approx(expected, rel=1e-5, abs=1e-6)


@every_loss
def test_token_weights_weigh_tokens(cls):
    teacher, student = draw((3, 4, 5))
    labels = labels_for((3, 4, 5))
    weights = np.random.default_rng(5).random((3, 4))
    each = run(cls(reduction=None), teacher, student, labels=labels)
    # A loss that gives one value a sample can only use the mean of the sample's weights.
    expected = (each * (weights.mean(axis=1) if sums_tokens(cls) else weights)).mean()
    assert run(cls(), teacher, student, weights, labels=labels) == pytest.approx(expected, rel=1e-5)


@every_loss
def test_zero_weights_give_zero_and_a_zero_gradient(cls):
    teacher, student = draw((3, 3, 4))
    labels = labels_for((3, 3, 4))
    assert run(cls(), teacher, student, np.zeros(3), labels=labels) == 0.0
    slope = gradient(lambda z: cls()(teacher, z, np.zeros(3), labels=labels), student, "float32")
    np.testing.assert_array_equal(slope, np.zeros(student.shape))


@every_loss
@alike_but_first("reduction", ["sum", "mean_with_sample_weight"])
def test_other_reductions_are_those_of_keras(cls, reduction):
    teacher, student = draw((4, 3, 5))
    labels, weights = labels_for((4, 3, 5)), np.array([1.0, 0.0, 2.0, 0.5])
    each = run(cls(reduction=None), teacher, student, labels=labels)
    spread = np.broadcast_to(weights.reshape((4,) + (1,) * (each.ndim - 1)), each.shape)
    expected = (each * spread).sum()
    if reduction == "mean_with_sample_weight":
        expected /= spread.sum()
    reduced = run(cls(reduction=reduction), teacher, student, weights, labels=labels)
    assert reduced == pytest.approx(expected, rel=1e-5)
