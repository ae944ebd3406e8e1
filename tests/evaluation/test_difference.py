"""The interval of a paired difference holds the truth as often as it says."""

import numpy as np
import pytest

from keras_kd.evaluation import Difference
from keras_kd.evaluation.difference import interval


def drawn(rng, seeds, examples, gain=0.05):
    """Scores of two kinds: examples differ in how hard they are, seeds in how good they are."""
    hardness = rng.normal(size=examples)
    kinds = []
    for mean in (gain, 0.0):
        skill = mean + 0.02 * rng.normal(size=(seeds, 1))
        kinds.append(skill + hardness + 0.5 * rng.normal(size=(seeds, examples)))
    return kinds


@pytest.mark.parametrize("seeds", [3, pytest.param(8, marks=pytest.mark.slow)])
def test_it_holds_the_truth_in_about_19_of_20_draws(seeds, monkeypatch):
    monkeypatch.setattr("keras_kd.evaluation.difference._DRAWS", 400)
    rng, held, count = np.random.default_rng(0), 0, 150
    for _ in range(count):
        _, low, high = interval(*drawn(rng, seeds, 200))
        held += low <= 0.05 <= high
    # Of 150 intervals that hold with 0.95, fewer than 133 do with a chance of 0.1 %.
    assert held >= 133


def test_with_many_of_both_it_is_that_of_the_normal_distribution():
    rng = np.random.default_rng(1)
    one, other = drawn(rng, 60, 900)
    mean, low, high = interval(one, other)
    differences = one - other
    of_seeds, of_examples = differences.mean(axis=1), differences.mean(axis=0)
    error = np.sqrt(of_seeds.var(ddof=1) / 60 + of_examples.var(ddof=1) / 900)
    assert np.isclose(mean, differences.mean())
    # Quantiles of 2,000 draws: 5 % of the width, and the noise counts in both parts.
    np.testing.assert_allclose([low - mean, high - mean], [-1.96 * error, 1.96 * error], rtol=0.2)


def test_what_is_the_same_everywhere_is_known_exactly():
    one = np.random.default_rng(0).normal(size=(3, 50))
    assert np.allclose(interval(one + 0.25, one), 0.25)


def test_weights_count_as_so_many_examples():
    rng = np.random.default_rng(2)
    one, other = drawn(rng, 4, 30)
    weights = rng.integers(0, 3, 30)
    repeated = [np.repeat(each, weights, axis=1) for each in (one, other)]
    assert np.isclose(interval(one, other, weights)[0], interval(*repeated)[0])


@pytest.mark.parametrize(
    ("low", "high", "better", "verdict"),
    [
        (0.01, 0.03, "higher", "BETTER"),
        (0.01, 0.03, "lower", "WORSE"),
        (-0.03, -0.01, "higher", "WORSE"),
        (-0.03, -0.01, "lower", "BETTER"),
        (-0.01, 0.03, "higher", "NOT TOLD APART"),
        (0.0, 0.0, "lower", "NOT TOLD APART"),
    ],
)
def test_the_verdict(low, high, better, verdict):
    mean = (low + high) / 2
    assert Difference("b", "a", "accuracy", mean, low, high, 3, better).verdict == verdict
