"""What an output decides, so that agreement and a metric can be counted."""

import dataclasses
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass(frozen=True)
class Decision:
    """How values of one output are read.

    Attributes:
        decide: From values to decisions that are equal or not, or `None` if values are continuous
            and decide nothing.
        metric: `"accuracy"`, `"mean_absolute_error"`, or `None` without fitting labels.
        score: From values and labels to the metric's terms, of which the mean is the metric.
    """

    decide: Callable[[np.ndarray], np.ndarray] | None
    metric: str | None
    score: Callable[[np.ndarray, np.ndarray], np.ndarray] | None


def find_decision(values: np.ndarray, labels: np.ndarray | None) -> Decision:
    """Finds how an output is read, from a first batch of the student's values and its labels.

    The first rule that holds decides:

    1. Integers, booleans, strings: equal or not.
    2. `(..., C)` with `C >= 2` and whole labels `(...)` or `(..., 1)`, or labels `(..., C)` whose
       rows sum to 1: classes, by argmax.
    3. Labels of the values' size that are 0 or 1: binary, by the threshold 0.5 if all values lie
       in [0, 1], else by the threshold 0 of logits.
    4. Labels of the values' size: a regression.
    5. No fitting labels, and `(B, C)`, or `(..., C)` with rows that sum to 1: classes.
    6. Anything else: continuous values.

    Args:
        values: The student's values, batch first.
        labels: Labels of the same examples, or `None`.

    Returns:
        The `Decision`.
    """
    if not np.issubdtype(values.dtype, np.floating):
        return _equality(values, labels)
    classes = values.ndim >= 2 and values.shape[-1] >= 2
    if labels is not None and labels.dtype.kind in "buif":
        if classes and _are_class_labels(labels, values.shape):
            return Decision(_argmax, "accuracy", _class_hits)
        if labels.size == values.size:
            return _elementwise(values, labels)
    if classes and (values.ndim == 2 or _rows_sum_to_one(values)):
        return Decision(_argmax, None, None)
    return Decision(None, None, None)


def _equality(values, labels):
    def hits(values, labels):
        return values.reshape(-1) == labels.reshape(-1)

    fits = labels is not None and labels.size == values.size
    return Decision(lambda values: values, "accuracy" if fits else None, hits if fits else None)


def _elementwise(values, labels):
    if not np.isin(labels, (0, 1)).all():
        return Decision(
            None,
            "mean_absolute_error",
            lambda values, labels: np.abs(values.reshape(-1) - labels.reshape(-1)),
        )
    threshold = 0.5 if values.min() >= 0 and values.max() <= 1 else 0.0
    return Decision(
        lambda values: values > threshold,
        "accuracy",
        lambda values, labels: (values > threshold).reshape(-1) == labels.reshape(-1),
    )


def _are_class_labels(labels, shape):
    if labels.shape in (shape[:-1], (*shape[:-1], 1)):
        return bool(np.all(labels == np.round(labels)))
    return labels.shape == shape and _rows_sum_to_one(labels)


def _rows_sum_to_one(rows):
    in_range = rows.min() >= 0 and rows.max() <= 1
    return bool(in_range and np.allclose(rows.sum(axis=-1, dtype="float64"), 1.0, atol=1e-2))


def _argmax(values):
    return np.argmax(values, axis=-1)


def _class_hits(values, labels):
    if labels.shape == values.shape:
        labels = _argmax(labels)
    return _argmax(values).reshape(-1) == labels.reshape(-1)
