"""Labels as class numbers, whichever way they are written."""

import keras
import numpy as np
from keras import ops

from keras_kd.losses.formula.known_now import known_now


def class_indices(name, labels, logits):
    """Returns which class each label means, and whether it is one.

    Args:
        name: The loss' name, for messages.
        labels: Class numbers `(...)` or `(..., 1)`, or one row of `C` a label, one-hot or soft,
            whose largest entry is the class.
        logits: Tensor `(..., C)` that the labels belong to.

    Returns:
        Int32 classes and booleans, both `(...)`. False, with some class, stands for a number that
        is no class or a row without an entry above 0: only values that are known before training
        runs can raise an error.

    Raises:
        ValueError: If the shapes do not fit, or labels that are known now are no classes.
    """
    labels = ops.convert_to_tensor(labels)
    if not keras.backend.is_float_dtype(labels.dtype):
        labels = ops.cast(labels, "int32")
    positions, classes = tuple(logits.shape[:-1]), logits.shape[-1]
    shape = tuple(labels.shape)
    if _fits(shape, positions):
        indices, known = _numbers(labels, classes)
    elif _fits(shape, (*positions, 1)) and isinstance(shape[-1], int):
        indices, known = _numbers(ops.squeeze(labels, -1), classes)
    elif _fits(shape, (*positions, classes)) and shape[-1] == classes:
        labels = ops.cast(labels, logits.dtype)
        indices, known = ops.argmax(labels, axis=-1), ops.max(labels, axis=-1) > 0.0
    else:
        raise ValueError(
            f"{name}: labels must be class numbers {_shown(positions)} or "
            f"{_shown((*positions, 1))}, or rows {_shown((*positions, classes))}, one-hot or soft. "
            f"Received: labels={shape}, student={tuple(logits.shape)}"
        )
    valid = known_now(known)
    if valid is not None and not valid.all():
        wrong = np.asarray(ops.convert_to_numpy(labels)).reshape(*valid.shape, -1)[~valid][0]
        raise ValueError(
            f"{name}: labels must be classes from 0 to {classes - 1}, or rows with an entry above "
            f"0. Received: labels with {wrong.tolist()}"
        )
    return ops.cast(indices, "int32"), known


def check_classes(name, labels, classes, ignored):
    """Raises a ValueError if an array of class numbers holds one that is no class.

    Args:
        name: The loss' name, for the message.
        labels: An array; rows, which may be soft, and None are not looked at.
        classes: How many there are.
        ignored: A number that is allowed, or None.
    """
    if labels is None or labels.dtype.kind not in "iu":
        return
    wrong = (labels < 0) | (labels >= classes)
    if ignored is not None:
        wrong &= labels != ignored
    if wrong.any():
        raise ValueError(
            f"{name}: labels must be classes from 0 to {classes - 1}"
            + ("" if ignored is None else f", or ignore_class={ignored}")
            + f". Received: labels with {np.unique(labels[wrong])[:5].tolist()}, first in example "
            f"{np.argwhere(wrong)[0][0]}"
        )


def _numbers(labels, classes):
    known = ops.logical_and(labels >= 0, labels < classes)
    indices = ops.cast(labels, "int32")
    return indices, ops.logical_and(known, ops.cast(indices, labels.dtype) == labels)


def _fits(shape, wanted):
    """Whether the sizes agree where they are numbers; in a symbolic run they may be others."""
    return len(shape) == len(wanted) and all(
        a == b
        for a, b in zip(shape, wanted, strict=True)
        if isinstance(a, int) and isinstance(b, int)
    )


def _shown(shape):
    sizes = [
        str(size) if isinstance(size, int) else name
        for name, size in zip("BLMN", shape, strict=False)
    ]
    return f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"
