"""Positions whose label says that they count for nothing."""

import numbers

import keras
from keras import ops

from keras_kd.losses.formula.per_sample_mean import check_mask
from keras_kd.losses.formula.to_rank import to_rank


def without_ignored(loss, labels, mask, student_value):
    """Takes the positions that carry the loss' `ignore_class` out of a comparison.

    Args:
        loss: A `DistillationLoss`.
        labels: Class numbers `(...)` or `(..., 1)`, or None: then nothing is ignored.
        mask: True where a position is real, of the first axes of the labels, or None.
        student_value: Tensor `(..., C)`.

    Returns:
        The labels with class 0 at ignored positions, and the mask without these positions.

    Raises:
        ValueError: If `ignore_class` is a class of the output, or the labels are no class numbers
            of the value's positions, or the mask has other positions.
    """
    shape = tuple(getattr(student_value, "shape", ()))
    classes = shape[-1] if loss.layers is None and shape else None
    if classes is not None and 0 <= loss.ignore_class < classes:
        raise ValueError(
            f"{loss.name}: `ignore_class` must be no class of the output, which has classes 0 to "
            f"{classes - 1}, else nothing is learned of that class: 255 and -1 are usual. "
            f"Received: ignore_class={loss.ignore_class}"
        )
    if labels is None:
        return labels, mask
    numbers = None if keras.tree.is_nested(labels) else ops.convert_to_tensor(labels)
    if numbers is not None and len(numbers.shape) == len(shape) and numbers.shape[-1] == 1:
        numbers = ops.squeeze(numbers, -1)
    if numbers is None or not _fits(tuple(numbers.shape), shape[:-1]):
        given = "several labels" if numbers is None else tuple(numbers.shape)
        raise ValueError(
            f"{loss.name}: with `ignore_class` the labels must be class numbers, one a position of "
            f"the values. Received: labels={given}, student={shape}"
        )
    if not keras.backend.is_float_dtype(numbers.dtype):
        numbers = ops.cast(numbers, "int32")  # -1 is no number of unsigned bytes
    keep = ops.not_equal(numbers, ops.cast(loss.ignore_class, numbers.dtype))
    numbers = ops.where(keep, numbers, ops.zeros_like(numbers))
    if mask is not None:
        check_mask(mask, numbers)
        mask = to_rank(ops.cast(mask, "int32"), len(shape) - 1)
        keep = ops.logical_and(keep, ops.cast(mask, "bool"))
    return numbers, keep


def check_ignore_class(loss, value):
    """Returns `value` if it is a whole number or None, and the loss has positions to ignore."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(
            f"`ignore_class` must be a whole number or None. Received: ignore_class={value!r}"
        )
    if loss.joint:
        raise ValueError(
            f"{type(loss).__name__} compares all its layers at once, so there are no positions "
            f"that a label could take out. Received: ignore_class={value}"
        )
    return int(value)


def _fits(shape, positions):
    return len(shape) == len(positions) and all(
        a is None or b is None or a == b for a, b in zip(shape, positions, strict=True)
    )
