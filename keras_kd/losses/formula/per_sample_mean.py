"""The mean that feature losses share."""

from keras import ops

from keras_kd.losses.formula.to_rank import to_rank


def per_sample_mean(values, mask=None):
    """Averages each sample's values over all other axes.

    Args:
        values: Tensor `(B, ...)`.
        mask: Optional tensor `(B,)`, `(B, L)` or `(B, H, W)`: True where a position is real.

    Returns:
        Tensor `(B,)`: the mean over real positions, 0 for a sample that has none.
    """
    axes = tuple(range(1, len(values.shape)))
    if mask is None:
        return ops.mean(values, axis=axes) if axes else values
    check_mask(mask, values)
    mask = to_rank(ops.cast(mask, values.dtype), len(values.shape)) * ops.ones_like(values)
    if not axes:
        return values * mask
    return ops.divide_no_nan(ops.sum(values * mask, axis=axes), ops.sum(mask, axis=axes))


def check_mask(mask, values):
    """Raises a ValueError if a mask has not the first axes of the values."""
    mask_shape, shape = tuple(mask.shape), tuple(values.shape)
    if len(mask_shape) > len(shape) or not all(
        a is None or b is None or a == b for a, b in zip(mask_shape, shape, strict=False)
    ):
        raise ValueError(
            "A mask must have the first axes of the values that it masks. "
            f"Received: mask={mask_shape}, values={shape}"
        )


def real_positions_of(mask, dtype):
    """Returns how many positions of each sample are real, `(B,)`."""
    mask = ops.cast(mask, dtype)
    return ops.sum(ops.reshape(mask, (ops.shape(mask)[0], -1)), axis=-1)


def share_of_each(keep):
    """Returns, `(B,)`, the positions of a sample over its real ones; 0 for one without any."""
    rows = ops.reshape(keep, (ops.shape(keep)[0], -1))
    return ops.divide_no_nan(ops.cast(ops.shape(rows)[1], keep.dtype), ops.sum(rows, axis=-1))
