"""The places at which a dense detector answers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np


def locations(image_size: tuple[int, int], strides: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the centres of the cells of all pyramid levels, one level after the other.

    Args:
        image_size: `(height, width)`, multiples of every stride.
        strides: Side of a level's cells in pixels, finest level first.

    Returns:
        Float32 arrays: centres `(L, 2)` as `(y, x)` in pixels, and strides `(L,)`.

    Raises:
        ValueError: If the strides do not grow or do not divide the image.

    Example:

    >>> from keras_kd.data import locations
    >>> centres, strides = locations((16, 16), (8, 16))
    >>> centres.tolist(), strides.tolist()
    ([[4.0, 4.0], [4.0, 12.0], [12.0, 4.0], [12.0, 12.0], [8.0, 8.0]], [8.0, 8.0, 8.0, 8.0, 16.0])
    """
    strides = tuple(strides)
    if not strides or any(a >= b for a, b in itertools.pairwise(strides)):
        raise ValueError(f"`strides` must grow from level to level. Received: strides={strides}")
    if any(size % stride for size in image_size for stride in strides):
        raise ValueError(
            "`image_size` must be a multiple of every stride. "
            f"Received: image_size={tuple(image_size)}, strides={strides}"
        )
    height, width = image_size
    centres = [
        np.stack(
            np.meshgrid(
                np.arange(stride / 2, height, stride),
                np.arange(stride / 2, width, stride),
                indexing="ij",
            ),
            axis=-1,
        ).reshape(-1, 2)
        for stride in strides
    ]
    sides = [
        np.full(len(of_level), stride) for of_level, stride in zip(centres, strides, strict=True)
    ]
    return np.concatenate(centres).astype("float32"), np.concatenate(sides).astype("float32")
