"""What a dense detector should answer at each of its locations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_kd.data.locations import locations
from keras_kd.lazy_modules import tf
from keras_kd.typing import Tensor

# A box belongs to the level on which no side is farther than this many strides; offsets are told
# in this unit, so that they are about 1 on every level.
REACH = 4.0


def location_targets(
    boxes: Tensor,
    classes: Tensor,
    image_size: tuple[int, int],
    *,
    num_classes: int,
    strides: Sequence[int] = (8, 16),
    radius: float = 1.5,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Assigns boxes to locations without anchors, as FCOS does.

    A location answers for the smallest box that it lies in, if it lies within `radius` strides of
    the box' centre and the farthest side is in its level's range: up to 4 strides, from where the
    finer level ends; the coarsest level has no end. All other locations are background.

    Args:
        boxes: Tensor `(n, 4)`, `(top, left, bottom, right)` as shares of height and width.
        classes: Integer tensor `(n,)`.
        image_size: `(height, width)` in pixels.
        num_classes: Classes of objects; background is a row of zeros.
        strides: Side of a level's cells in pixels, finest level first.
        radius: How far from a box' centre, in strides, locations answer for it.

    Returns:
        `(targets, sample_weight)`, dicts by output. `"classes"`: rows `(L, num_classes)`, one-hot
        or 0, all of weight 1. `"boxes"`: `(L, 4)`, how far top, left, bottom and right are, in 4
        strides; only locations of a box have a weight, whose mean over an image is 1 (0 if none).

    Example:

    >>> import tensorflow as tf
    >>> from keras_kd.data import location_targets
    >>> box = tf.constant([[0.0, 0.0, 0.5, 0.5]])  # of 8 pixels, around the first location
    >>> targets, weight = location_targets(box, tf.constant([1]), (16, 16), num_classes=2)
    >>> targets["classes"].numpy()[0].tolist(), weight["boxes"].shape
    ([0.0, 1.0], TensorShape([5]))

    Reference: Tian, Shen, Chen, He, "FCOS: Fully Convolutional One-Stage Object Detection",
    ICCV 2019.
    """

    centres, cells = locations(image_size, strides)
    reach = REACH * cells
    bounds = np.array([0.0, *(REACH * stride for stride in strides[:-1]), np.inf], "float32")
    level = np.searchsorted(strides, cells)
    least, most = bounds[level, None], bounds[level + 1, None]

    height, width = image_size
    boxes = tf.cast(boxes, tf.float32) * tf.constant([height, width, height, width], tf.float32)
    nowhere = tf.constant([[-1.0, -1.0, -1.0, -1.0]])  # so that an image may have no box
    boxes = tf.concat([boxes, nowhere], axis=0)
    classes = tf.concat([tf.cast(classes, tf.int32), [-1]], axis=0)
    y, x = centres[:, :1], centres[:, 1:]
    top, left, bottom, right = tf.unstack(boxes[None], axis=-1)  # (1, n) each
    sides = tf.stack([y - top, x - left, bottom - y, right - x], axis=-1)  # (L, n, 4)
    farthest = tf.reduce_max(sides, axis=-1)
    off_centre = tf.maximum(abs(y - (top + bottom) / 2.0), abs(x - (left + right) / 2.0))
    answers = (
        (tf.reduce_min(sides, axis=-1) > 0.0)
        & (off_centre <= radius * cells[:, None])
        & (farthest > least)
        & (farthest <= most)
    )
    area = tf.where(answers, (bottom - top) * (right - left), float("inf"))
    chosen = tf.argmin(area, axis=1)
    is_object = tf.reduce_any(answers, axis=1)

    offsets = tf.gather(sides, chosen, axis=1, batch_dims=1) / reach[:, None]
    number = tf.where(is_object, tf.gather(classes, chosen), -1)  # one-hot of -1 is 0
    objects = tf.cast(is_object, tf.float32)
    share = tf.math.divide_no_nan(objects, tf.reduce_mean(objects))
    targets = {"classes": tf.one_hot(number, num_classes), "boxes": offsets * objects[:, None]}
    return targets, {"classes": tf.ones_like(objects), "boxes": share}
