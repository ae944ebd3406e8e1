"""Leaving padding out of formulas that sum over positions."""

from keras import ops

from keras_kd.losses.formula.per_sample_mean import check_mask
from keras_kd.losses.formula.to_rank import to_rank


def zero_padding(value, mask):
    """Returns `value` with zeros at the positions that are padding.

    Args:
        value: Tensor `(B, ...)`.
        mask: Tensor `(B,)`, `(B, L)` or `(B, H, W)`: True where a position is real; or None.

    Raises:
        ValueError: If the mask's axes are not the value's first axes.
    """
    if mask is None:
        return value
    check_mask(mask, value)
    mask = to_rank(ops.cast(mask, "bool"), len(value.shape))
    return ops.where(mask, value, ops.zeros_like(value))
