"""Maps and sequences at another resolution."""

import math

import numpy as np
from keras import ops


def average_to(value, sizes, keep=None):
    """Adaptive average pooling of the axes between batch and channels.

    Position i of n is the mean of positions floor(i m / n) to ceil((i + 1) m / n) of m.

    Args:
        value: Tensor `(B, ..., C)`, of known sizes where they change.
        sizes: The resolution to bring it to.
        keep: Optional tensor `(B, ..., 1)`: 1 where a position is real, 0 where it is padding.

    Returns:
        Tensor `(B, *sizes, C)`: the means over real positions, 0 where there are none.
    """
    if keep is None:
        return _resample(value, sizes, _averaging)
    averages = _resample(value * keep, sizes, _averaging)
    return ops.divide_no_nan(averages, _resample(keep, sizes, _averaging))


def nearest_to(value, sizes):
    """Nearest neighbours: position i of n is position floor(i m / n) of m."""
    return _resample(value, sizes, _picking)


def max_to(value, sizes):
    """Max pooling of a map or a sequence, over windows as wide as their stride.

    Raises:
        ValueError: If no stride leads to these sizes.
    """
    strides = [_stride(value, size, m) for size, m in zip(sizes, value.shape[1:-1], strict=True)]
    if all(stride == 1 for stride in strides):
        return value
    strides = tuple(strides)
    return ops.max_pool(value, strides, strides, "same", data_format="channels_last")


def _stride(value, size, m):
    if size == m:
        return 1
    if size is None or m is None:
        raise ValueError(f"Pooling needs known sizes. Received: shape={tuple(value.shape)}")
    stride = math.ceil(m / size)
    if math.ceil(m / stride) != size:
        raise ValueError(f"No max pooling leads from size {m} to size {size}.")
    return stride


def _resample(value, sizes, matrix):
    for axis, size in enumerate(sizes, start=1):
        m = value.shape[axis]
        if m == size:
            continue
        if m is None or size is None:
            raise ValueError(f"Pooling needs known sizes. Received: shape={tuple(value.shape)}")
        weights = ops.convert_to_tensor(matrix(m, size), value.dtype)
        value = ops.moveaxis(ops.tensordot(weights, value, [[1], [axis]]), 0, axis)
    return value


def _averaging(m, n):
    weights = np.zeros((n, m))
    for i in range(n):
        window = slice(i * m // n, -(-(i + 1) * m // n))
        weights[i, window] = 1.0 / len(range(m)[window])
    return weights


def _picking(m, n):
    return np.eye(m)[np.arange(n) * m // n]
