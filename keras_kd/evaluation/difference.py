"""Whether one kind of models does better than another."""

from __future__ import annotations

import dataclasses
import math
import statistics

import numpy as np

_DRAWS = 2000
_Z = statistics.NormalDist().inv_cdf(0.975)
# The 0.975 quantile of Student's t by degrees of freedom, from any table.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


@dataclasses.dataclass(frozen=True)
class Difference:
    """How one kind of models differs from another in one figure.

    Attributes:
        model: The kind that is looked at.
        against: The kind that it is held against.
        figure: The figure's name in the rows.
        mean: Mean of `model` minus mean of `against`, in the figure's own unit.
        low: Lower end of the 95 % interval.
        high: Its upper end.
        seeds: How many models there are of each kind.
        better: `"higher"` or `"lower"`, whichever is better.

    Example:

    >>> from keras_kd.evaluation import Difference
    >>> ends = {"low": 0.05, "high": 0.12}
    >>> found = Difference("distilled", "alone", "accuracy", mean=0.08, **ends, seeds=5)
    >>> found.verdict
    'BETTER'
    """

    model: str
    against: str
    figure: str
    mean: float
    low: float
    high: float
    seeds: int
    better: str = "higher"

    @property
    def verdict(self) -> str:
        """`"BETTER"`, `"WORSE"`, or `"NOT TOLD APART"` where the interval holds 0."""
        if self.low <= 0.0 <= self.high:
            return "NOT TOLD APART"
        return "BETTER" if (self.mean > 0.0) == (self.better == "higher") else "WORSE"


def interval(scores, other_scores, weights=None) -> tuple[float, float, float]:
    """Returns the mean difference of two kinds of models, and its 95 % interval.

    Seeds and examples are drawn anew, with replacement, 2,000 times: a student of another seed and
    a test set of other examples would have differed by so much. A model and its counterpart at the
    same place of the other kind (of one seed) are drawn together, and all see the same examples.

    Few seeds drawn from themselves vary too little. Their deviations are stretched by
    `sqrt(n / (n - 1)) * t / z`, with Student's t of n - 1 degrees of freedom: Hesterberg's expanded
    percentile interval, as a scale.

    Args:
        scores: Array `(S, N)`, what each of N examples adds to the mean of each of S models.
        other_scores: Likewise, of the kind that it is held against.
        weights: Weights `(N,)` of the examples, or None.

    Returns:
        The mean difference, and the lower and upper end.

    Reference: Hesterberg, "What Teachers Should Know About the Bootstrap", The American
    Statistician 69 (2015), https://doi.org/10.1080/00031305.2015.1089789.
    """
    differences = np.asarray(scores, "float64") - np.asarray(other_scores, "float64")
    seeds, examples = differences.shape
    weights = np.ones(examples) if weights is None else np.asarray(weights, "float64").reshape(-1)
    stretch = math.sqrt(seeds / (seeds - 1)) * _t(seeds - 1) / _Z
    mean = float(np.average(differences.mean(axis=0), weights=weights))
    common = differences.mean(axis=0)
    draw, drawn = np.random.default_rng(0), np.empty(_DRAWS)
    for number in range(_DRAWS):
        counts = np.bincount(draw.integers(0, examples, examples), minlength=examples) * weights
        if not counts.any():
            counts = weights
        of_seeds = differences @ counts / counts.sum()
        of_all = common @ counts / counts.sum()
        chosen = of_seeds[draw.integers(0, seeds, seeds)].mean()
        drawn[number] = of_all + stretch * (chosen - of_all)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return mean, float(low), float(high)


def _t(freedom):
    if freedom <= len(_T):
        return _T[freedom - 1]
    # Peiser's expansion; three digits are right beyond ten degrees.
    return _Z + (_Z**3 + _Z) / (4 * freedom) + (5 * _Z**5 + 16 * _Z**3 + 3 * _Z) / (96 * freedom**2)
