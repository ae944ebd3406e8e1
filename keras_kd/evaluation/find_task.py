"""What is to be scored, found from the targets and the outputs."""

import warnings

import numpy as np


def find_task(targets: np.ndarray, outputs: dict[str, np.ndarray]) -> str:
    """Finds the task from targets `y` and outputs of shape `(N, C)`.

    The first rule that holds decides:

    1. `C >= 2`, `y` of shape `(N,)` or `(N, 1)` with whole numbers: classification.
    2. `C >= 2`, `y` of shape `(N, C)`, all of `[0, 1]`, each row summing to 1: classification with
       one-hot labels (the largest entry of a soft label is its class).
    3. `C >= 2`, `y` of shape `(N, C)`, only 0 and 1: multi-label.
    4. `C == 1`, `y` of shape `(N,)` or `(N, 1)`, only 0 and 1: classification with two classes.
    5. `y` of floating point with the shape of the outputs: regression.

    Args:
        targets: Targets of all examples.
        outputs: For each model's name its outputs of the same examples.

    Returns:
        `"classification"`, `"multilabel"` or `"regression"`.

    Raises:
        ValueError: If the outputs of two models have different shapes, the targets fit no task,
            or a label is out of range.
    """
    width = _common_shape(outputs)
    shape = targets.shape[1:]
    if not (np.issubdtype(targets.dtype, np.number) or targets.dtype == bool):
        raise ValueError(
            f"Numbers were expected as targets. Received: targets of dtype {targets.dtype}"
        )
    if not np.isfinite(targets).all():
        raise ValueError("Finite targets were expected. Received: targets with NaN or infinity")
    whole = bool((targets == np.round(targets)).all())
    floats = np.issubdtype(targets.dtype, np.floating)
    binary = bool(np.isin(targets, (0, 1)).all())
    if len(width) == 1 and width[0] > 1:
        if shape in ((), (1,)) and whole:
            _check_range(targets, width[0])
            return "classification"
        if shape == width and ((targets >= 0) & (targets <= 1)).all():
            if np.allclose(targets.sum(axis=1, dtype="float64"), 1.0, atol=1e-3):
                return "classification"
            if binary:
                return "multilabel"
    if width == (1,) and shape in ((), (1,)) and (binary or not floats):
        _check_range(targets, 2)
        return "classification"
    if floats and (shape or (1,)) == width:
        return "regression"
    raise ValueError(
        "The targets fit no task. Expected for outputs of shape "
        f"{('N', *width)}: whole numbers (N,) or one-hot rows for classification, rows of 0 and 1 "
        "for multi-label, floats of the outputs' shape for regression. "
        f"Received: targets of shape {('N', *shape)} and dtype {targets.dtype}"
        f"{'' if whole else ' with fractions'}"
    )


def holds_probabilities(outputs: np.ndarray, name: str, *, exclusive: bool) -> bool:
    """Whether outputs are probabilities, judged by their numbers over all examples.

    They are if all lie in [0, 1], but for rounding of 1e-3, and, where classes exclude one
    another, each row sums to 1 within 1e-2. All others are taken for logits.

    Args:
        outputs: Array `(N, C)`.
        name: The model's name, for the warning.
        exclusive: Whether the `C` classes exclude one another (softmax) or not (sigmoid).

    Returns:
        True for probabilities, False for logits.

    Warns:
        UserWarning: If exclusive outputs lie in [0, 1] but do not sum to 1, as those of a
            sigmoid do: they are taken for logits, which may be wrong.
    """
    if outputs.min() < -1e-3 or outputs.max() > 1.0 + 1e-3:
        return False
    if not exclusive:
        return True
    sums = outputs.sum(axis=1, dtype="float64")
    if np.abs(sums - 1.0).max() <= 1e-2:
        return True
    warnings.warn(
        f"All outputs of model {name!r} lie in [0, 1] but their rows do not sum to 1 (sums from "
        f"{sums.min():.4g} to {sums.max():.4g}): they are taken for logits. If they are "
        "probabilities, of a sigmoid for instance, give the model a softmax or no activation.",
        stacklevel=2,
    )
    return False


def _common_shape(outputs):
    shapes = {name: output.shape[1:] or (1,) for name, output in outputs.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name!r}: {('N', *shape)}" for name, shape in shapes.items())
        raise ValueError(
            "Models can be compared if they have the same number of outputs. "
            f"Received: output shapes {listed}"
        )
    return next(iter(shapes.values()))


def _check_range(labels, classes):
    lowest, highest = labels.min(), labels.max()
    if lowest < 0 or highest >= classes:
        hint = " (targets of a regression are floats)" if classes == 2 else ""
        raise ValueError(
            f"Labels from 0 to {classes - 1} were expected for these outputs{hint}. "
            f"Received: labels from {lowest} to {highest}"
        )
