"""The teacher's k largest probabilities, which a cache may keep in place of its logits.

Top-k labels are a dict of the logarithms of the k largest probabilities, descending, their classes
and the logarithm of the mass that remains:

    {"log_probabilities": (..., k), "indices": (..., k) integers, "log_rest": (...)}

They stand for the distribution over C classes that has these k probabilities and spreads the
remaining mass evenly over the other C - k. Its logits are `log_probabilities` at the k classes and
`log_rest - log(C - k)` elsewhere, which a temperature softens like any others. Minus infinity, a
probability of 0, is read as the smallest that a float32 holds.
"""

import math

import keras
import numpy as np
from keras import ops

from keras_kd.losses.formula.class_indices import class_indices

_KEYS = ("log_probabilities", "indices", "log_rest")
_LOG_SMALLEST = math.log(1.2e-38)


def is_one_value(outputs):
    """Whether a dict that a cache gives is one output's value, not the outputs of a model."""
    return isinstance(outputs, dict) and set(outputs) in ({*_KEYS}, {"probabilities"})


def bare_probabilities(value):
    """Returns `(p, True)` of `{"probabilities": p}`, as a cache gives it, else `(value, False)`."""
    if isinstance(value, dict) and set(value) == {"probabilities"}:
        return value["probabilities"], True
    return value, False


def refuse_top_k(name, what, value):
    """Raises a ValueError if `value`, or one of a list of values, is top-k labels."""
    for each in value if isinstance(value, list | tuple) else [value]:
        if isinstance(each, dict) and not set(_KEYS).isdisjoint(each):
            raise ValueError(
                f"{name} cannot read top-k labels as the {what}'s value: they stand for the "
                "teacher's softmax, for losses such as KDLoss; give this one all that the "
                f"{what} gave. Received: a dict of {sorted(each)}"
            )


def checked_top_k(name, labels, student_value, dtype):
    """Returns top-k labels as tensors, after checks of all that is known before training runs.

    Args:
        name: The loss' name, for messages.
        labels: The dict.
        student_value: The student's logits, `(..., C)`.
        dtype: What the loss computes in.

    Returns:
        The dict, finite and with classes below C. Labels of a class that there is not are NaN if
        only a running step can tell.

    Raises:
        ValueError: If keys are missing, shapes do not fit, there are more than C of them, or the
            indices are no classes.
    """
    if set(labels) != set(_KEYS):
        raise ValueError(
            f"{name}: a teacher's value that is a dict must be top-k labels with the keys "
            f"{list(_KEYS)}. Received: keys={sorted(map(str, labels))}"
        )
    top, rest = (
        _finite(ops.convert_to_tensor(labels[key], dtype=dtype))
        for key in ("log_probabilities", "log_rest")
    )
    indices = ops.convert_to_tensor(labels["indices"])
    _check_shapes(name, top, indices, rest, student_value)
    if "int" not in keras.backend.standardize_dtype(indices.dtype):
        raise ValueError(
            f"{name}: the indices of top-k labels must be integers. "
            f"Received: indices of {keras.backend.standardize_dtype(indices.dtype)}"
        )
    classes = student_value.shape[-1]
    of_indices = keras.KerasTensor((*indices.shape, classes), dtype)
    indices, known = class_indices(name, indices, of_indices)
    known = ops.all(known, axis=-1)
    return {
        "log_probabilities": ops.where(known[..., None], top, ops.full_like(top, float("nan"))),
        "indices": ops.clip(indices, 0, classes - 1),
        "log_rest": ops.where(known, rest, ops.full_like(rest, float("nan"))),
    }


def dense_logits(labels, classes):
    """Returns the logits of all classes that top-k labels stand for.

    Args:
        labels: Top-k labels with any leading axes.
        classes: C, at least k.

    Returns:
        Tensor `(..., C)` of the dtype of `log_probabilities`; a few times its memory is used.
    """
    top = _finite(ops.convert_to_tensor(labels["log_probabilities"]))
    rest = _finite(ops.convert_to_tensor(labels["log_rest"], dtype=top.dtype))
    indices = ops.cast(labels["indices"], "int32")
    count = top.shape[-1]
    shape = (*ops.shape(top)[:-1], classes)
    logits = ops.broadcast_to((rest - math.log(max(classes - count, 1)))[..., None], shape)
    logits = ops.reshape(logits, (-1, classes))
    columns = ops.reshape(indices, (-1, count))
    rows = ops.arange(ops.shape(columns)[0], dtype="int32")[:, None] + ops.zeros_like(columns)
    places = ops.stack([ops.reshape(rows, (-1,)), ops.reshape(columns, (-1,))], axis=-1)
    return ops.reshape(ops.scatter_update(logits, places, ops.reshape(top, (-1,))), shape)


def softened_groups(teacher_value, student_values, temperature):
    """Brings sums over classes to groups of classes that have one probability of the teacher's.

    A sum over all classes of `f(p_t) * s` is one over groups of `f(p_t) * sum s`. Logits have a
    group for every class; top-k labels k of them, and one more for all other classes, so that the
    teacher's full vector is never built.

    Args:
        teacher_value: Logits `(..., C)` or checked top-k labels.
        student_values: What the student has for every class, `(..., C)`.
        temperature: T.

    Returns:
        The teacher's softened log-probability of one class of each group, `(..., groups)`; how many
        classes each has; and the sum of `student_values` over them, `(..., groups)`.
    """
    if not isinstance(teacher_value, dict):
        return ops.log_softmax(teacher_value / temperature, axis=-1), 1.0, student_values
    top = teacher_value["log_probabilities"] / temperature
    sums = ops.take_along_axis(student_values, teacher_value["indices"], axis=-1)
    count = top.shape[-1]
    others = student_values.shape[-1] - count
    if not others:
        return ops.log_softmax(top, axis=-1), 1.0, sums
    sizes = np.append(np.ones(count), others)
    of_others = (teacher_value["log_rest"][..., None] - math.log(others)) / temperature
    logits = ops.concatenate([top, of_others], axis=-1)
    mass = logits + ops.convert_to_tensor(np.log(sizes), dtype=logits.dtype)
    log_p = logits - ops.logsumexp(mass, axis=-1, keepdims=True)
    sum_of_others = ops.sum(student_values, axis=-1, keepdims=True)
    sum_of_others = sum_of_others - ops.sum(sums, axis=-1, keepdims=True)
    sizes = ops.convert_to_tensor(sizes, dtype=logits.dtype)
    return log_p, sizes, ops.concatenate([sums, sum_of_others], axis=-1)


def _finite(logarithms):
    smallest = ops.full_like(logarithms, _LOG_SMALLEST)
    return ops.where(logarithms == -math.inf, smallest, logarithms)


def _check_shapes(name, top, indices, rest, student_value):
    shapes = [tuple(value.shape) for value in (top, indices, rest)]
    positions, classes = tuple(student_value.shape[:-1]), student_value.shape[-1]
    count = shapes[0][-1] if shapes[0] else None
    wanted = ((*positions, count), (*positions, count), positions)
    if not count or not all(map(_agree, shapes, wanted)):
        raise ValueError(
            f"{name}: top-k labels must have the shapes (..., k), indices (..., k) and log_rest "
            "(...), where the student gives (..., C). Received: "
            + ", ".join(f"{key}={shape}" for key, shape in zip(_KEYS, shapes, strict=True))
            + f", student={tuple(student_value.shape)}"
        )
    if count > classes:
        raise ValueError(
            f"{name}: top-k labels cannot name more classes than the student has. "
            f"Received: k={count}, student={tuple(student_value.shape)}"
        )


def _agree(shape, wanted):
    return len(shape) == len(wanted) and all(
        a is None or b is None or a == b for a, b in zip(shape, wanted, strict=True)
    )
