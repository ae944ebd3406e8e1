"""A class for each pixel, from boxes."""

from __future__ import annotations

from keras_kd.lazy_modules import tf
from keras_kd.typing import Tensor


def ellipse_mask(
    boxes: Tensor,
    classes: Tensor,
    image_size: tuple[int, int],
    *,
    num_classes: int,
    ignore_class: int = 255,
    band: float = 1.0,
) -> Tensor:
    """Returns a mask of the ellipses that fill the boxes, with a band of pixels of no class.

    For round objects an ellipse is nearer to the truth than its box, a fifth of which lies outside
    it; still it is a guess. A pixel gets a class where it lies well inside an ellipse of that class
    and touches none of another, background where it touches none, and else `ignore_class`: within
    `band` pixels of a rim, or where objects of different classes overlap.

    Args:
        boxes: Tensor `(n, 4)`, `(top, left, bottom, right)` as shares of height and width.
        classes: Integer tensor `(n,)` in 0..`num_classes - 1`; the mask says one more, since 0 is
            the background.
        image_size: `(height, width)` of the mask.
        num_classes: Classes of objects, without the background.
        ignore_class: What the mask says where it is not known.
        band: Half the width of the band in pixels.

    Returns:
        Int32 tensor `(height, width)`.

    Raises:
        ValueError: If `ignore_class` is a class of the mask.

    Example:

    >>> import tensorflow as tf
    >>> from keras_kd.data import ellipse_mask
    >>> box, kind = tf.constant([[0.0, 0.0, 1.0, 1.0]]), tf.constant([0])
    >>> mask = ellipse_mask(box, kind, (9, 9), num_classes=1)
    >>> int(mask[4, 4]), int(mask[0, 0]), int(mask[0, 4])  # inside, outside, on the rim
    (1, 0, 255)
    """

    if 0 <= ignore_class <= num_classes:
        raise ValueError(
            f"`ignore_class` must be no class of the mask, which has classes 0 to {num_classes}. "
            f"Received: ignore_class={ignore_class}"
        )
    height, width = image_size
    boxes = tf.cast(boxes, tf.float32) * tf.constant([height, width, height, width], tf.float32)
    top, left, bottom, right = tf.unstack(boxes[:, :, None, None], axis=1)  # (n, 1, 1) each
    half_height = tf.maximum((bottom - top) / 2.0, 0.5)
    half_width = tf.maximum((right - left) / 2.0, 0.5)
    y = (tf.range(height, dtype=tf.float32)[None, :, None] + 0.5 - (top + bottom) / 2) / half_height
    x = (tf.range(width, dtype=tf.float32)[None, None, :] + 0.5 - (left + right) / 2) / half_width
    # 0 on the rim, in pixels along the shorter axis.
    outwards = (tf.sqrt(y * y + x * x) - 1.0) * tf.minimum(half_height, half_width)
    of_class = tf.one_hot(classes, num_classes, on_value=True, off_value=False, dtype=tf.bool)

    def by_class(pixels):
        return tf.reduce_any(pixels[:, None] & of_class[:, :, None, None], axis=0)

    well_inside, touched = by_class(outwards <= -band), by_class(outwards <= band)
    of_one_class = tf.reduce_sum(tf.cast(touched, tf.int32), axis=0) == 1
    known = tf.reduce_any(well_inside, axis=0) & of_one_class
    mask = tf.where(known, tf.argmax(well_inside, axis=0, output_type=tf.int32) + 1, ignore_class)
    return tf.where(tf.reduce_any(touched, axis=0), mask, 0)
