"""Pictures with two digits in them."""

from __future__ import annotations

import numpy as np


def digit_pairs(
    images: np.ndarray, labels: np.ndarray, count: int, *, seed: int, size: int | None = None
) -> tuple:
    """Puts two images of different classes into one picture, each at a place of its own.

    Where they overlap, the brighter pixel is seen. The same arguments give the same pictures.

    Args:
        images: Array `(n, height, width, channels)`, dark where there is nothing.
        labels: Integers `(n,)` in 0..C-1.
        count: How many pictures to make.
        seed: Of what is drawn.
        size: Height and width of a picture. None is one and a half times the larger side of an
            image, rounded up.

    Returns:
        Pictures `(count, size, size, channels)` with the images' dtype, and targets `(count, C)`
        in float32: 1 for the two classes that are in the picture, else 0.

    Raises:
        ValueError: If images and labels do not correspond, there are fewer than two classes,
            `count` is below 1, or the picture is smaller than an image.

    Example:

    >>> import numpy as np
    >>> from keras_kd.data import digit_pairs
    >>> images, labels = np.ones((4, 8, 8, 1)), np.array([0, 1, 2, 1])
    >>> pictures, targets = digit_pairs(images, labels, 5, seed=0)
    >>> pictures.shape, targets.sum(axis=1).tolist()
    ((5, 12, 12, 1), [2.0, 2.0, 2.0, 2.0, 2.0])

    Reference: the digits at random places of MultiMNIST, Sabour, Frosst, Hinton, "Dynamic Routing
    Between Capsules", NIPS 2017.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    if images.ndim != 4 or labels.shape != images.shape[:1]:
        raise ValueError(
            "Images (n, height, width, channels) and labels (n,) were expected. "
            f"Received: images of shape {images.shape}, labels of shape {labels.shape}"
        )
    if len(np.unique(labels)) < 2 or count < 1:
        raise ValueError(
            "Images of two classes at least, and at least one picture were expected. "
            f"Received: classes={np.unique(labels).tolist()}, count={count}"
        )
    height, width = images.shape[1:3]
    size = -(-3 * max(height, width) // 2) if size is None else size
    if size < max(height, width):
        raise ValueError(
            f"A picture must have room for an image of {height}x{width}. Received: size={size}"
        )
    random = np.random.default_rng(seed)
    pictures = np.zeros((count, size, size, images.shape[3]), images.dtype)
    targets = np.zeros((count, labels.max() + 1), "float32")
    for picture, target in zip(pictures, targets, strict=True):
        first = random.integers(len(images))
        second = random.choice(np.flatnonzero(labels != labels[first]))
        for row in (first, second):
            top, left = random.integers(size - height + 1), random.integers(size - width + 1)
            place = picture[top : top + height, left : left + width]
            np.maximum(place, images[row], out=place)
            target[labels[row]] = 1.0
    return pictures, targets
