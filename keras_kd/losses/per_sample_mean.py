"""The mean that feature losses share."""

from keras import ops


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
    mask = ops.cast(mask, values.dtype)
    while len(mask.shape) < len(values.shape):
        mask = ops.expand_dims(mask, -1)
    mask = mask * ops.ones_like(values)
    if not axes:
        return values * mask
    return ops.divide_no_nan(ops.sum(values * mask, axis=axes), ops.sum(mask, axis=axes))
