"""Leaving padding out of formulas that sum over positions."""

from keras import ops

from keras_kd.losses.to_rank import to_rank


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
    mask_shape, shape = tuple(mask.shape), tuple(value.shape)
    if len(mask_shape) > len(shape) or not all(
        a is None or b is None or a == b for a, b in zip(mask_shape, shape, strict=False)
    ):
        raise ValueError(
            "A mask must have the first axes of the values that it masks. "
            f"Received: mask={mask_shape}, values={shape}"
        )
    mask = to_rank(ops.cast(mask, "bool"), len(shape))
    return ops.where(mask, value, ops.zeros_like(value))
