"""The positions of maps and sequences, and which of them are padding."""

import math

from keras import ops

from keras_kd.losses.formula.per_sample_mean import check_mask
from keras_kd.losses.formula.to_rank import to_rank


def check_positions(name, value):
    """Raises a ValueError if a student's value has channels but no positions."""
    if len(value.shape) < 3:
        raise ValueError(
            f"{name} needs maps (B, H, W, C) or sequences (B, L, C). "
            f"Received: student={tuple(value.shape)}"
        )


def flatten_positions(value):
    """Returns `(B, ..., C)` as `(B, N, C)`."""
    *positions, channels = value.shape[1:]
    if None in positions:
        return ops.reshape(value, (ops.shape(value)[0], -1, channels))
    return ops.reshape(value, (-1, math.prod(positions), channels))


def real_positions(mask, value):
    """Returns 1 where a position is real and 0 where it is padding.

    Args:
        mask: Tensor `(B,)`, `(B, L)` or `(B, H, W)`, or None where all positions are real.
        value: Tensor `(B, ..., C)`.

    Returns:
        Tensor `(B, ..., 1)` of the value's dtype.
    """
    ones = ops.ones_like(value[..., :1])
    if mask is None:
        return ones
    check_mask(mask, value)
    return ones * to_rank(ops.cast(mask, value.dtype), len(value.shape))


def check_same_positions(name, teacher_value, student_value):
    """Raises a ValueError if two values differ in more than their number of channels."""
    shapes = [tuple(value.shape) for value in (teacher_value, student_value)]
    ranks = {len(shape) for shape in shapes}
    if len(ranks) > 1 or any(
        a != b and None not in (a, b) for a, b in zip(shapes[0][:-1], shapes[1][:-1], strict=True)
    ):
        raise ValueError(
            f"{name}: teacher and student values must have the same positions. "
            f"Received: teacher={shapes[0]}, student={shapes[1]}"
        )
