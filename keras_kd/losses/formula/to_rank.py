"""Weights and masks beside values that have more axes, or fewer."""

from keras import ops


def to_rank(weights, rank):
    """Gives weights the values' rank: trailing axes are averaged away or added.

    Args:
        weights: Tensor whose axes are the values' first axes.
        rank: Number of axes of the values.

    Returns:
        Tensor with `rank` axes.
    """
    surplus = len(weights.shape) - rank
    if surplus > 0:
        return ops.mean(weights, axis=tuple(range(rank, rank + surplus)))
    for _ in range(-surplus):
        weights = ops.expand_dims(weights, -1)
    return weights
