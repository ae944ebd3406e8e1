"""Boxes from the answers of a dense detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from keras_kd.data.location_targets import REACH
from keras_kd.data.locations import locations
from keras_kd.lazy_modules import tf
from keras_kd.typing import Tensor


def decode_locations(
    outputs: Mapping[str, Tensor],
    image_size: tuple[int, int],
    *,
    strides: Sequence[int] = (8, 16),
    least_score: float = 0.05,
    most_overlap: float = 0.5,
    most_boxes: int = 100,
) -> dict[str, Tensor]:
    """Turns answers at locations into boxes, and keeps the best of those that overlap.

    Args:
        outputs: `{"classes": logits (B, L, C), "boxes": offsets (B, L, 4)}`, as
            `location_targets` has them.
        image_size: `(height, width)` in pixels.
        strides: Of the levels, finest first.
        least_score: Boxes with a lower score are dropped.
        most_overlap: Of two boxes of a class whose intersection over union is greater, the one with
            the lower score is dropped.
        most_boxes: How many boxes an image can have.

    Returns:
        A dict of tensors: `"boxes"` `(B, most_boxes, 4)` as shares of height and width, `"scores"`
        and `"classes"` `(B, most_boxes)`, best first, and `"count"` `(B,)`, how many are real.

    Example:

    >>> import tensorflow as tf
    >>> from keras_kd.data import decode_locations
    >>> logits = tf.constant([[[9.0, -9.0]] + [[-9.0, -9.0]] * 4])  # the first location is sure
    >>> found = decode_locations({"classes": logits, "boxes": tf.ones((1, 5, 4)) / 8}, (16, 16))
    >>> int(found["count"][0]), found["boxes"][0, 0].numpy().tolist()
    (1, [0.0, 0.0, 0.5, 0.5])
    """

    centres, cells = locations(image_size, strides)
    height, width = image_size
    offsets = tf.cast(outputs["boxes"], tf.float32) * (REACH * cells[:, None])
    y, x = centres[:, 0], centres[:, 1]
    boxes = tf.stack(
        [
            (y - offsets[..., 0]) / height,
            (x - offsets[..., 1]) / width,
            (y + offsets[..., 2]) / height,
            (x + offsets[..., 3]) / width,
        ],
        axis=-1,
    )
    found = tf.image.combined_non_max_suppression(
        boxes[:, :, None],
        tf.sigmoid(tf.cast(outputs["classes"], tf.float32)),
        max_output_size_per_class=most_boxes,
        max_total_size=most_boxes,
        iou_threshold=most_overlap,
        score_threshold=least_score,
        clip_boxes=True,
    )
    return {
        "boxes": found.nmsed_boxes,
        "scores": found.nmsed_scores,
        "classes": tf.cast(found.nmsed_classes, tf.int32),
        "count": found.valid_detections,
    }
