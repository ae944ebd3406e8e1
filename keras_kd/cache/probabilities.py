"""Probabilities that a teacher gives, and their logits."""

import numpy as np

SMALLEST = 1.2e-38  # float32's smallest normal number: log of it is finite


def find_activation(values, is_logits):
    """Returns what made an output's values probabilities, or None if they are none.

    Args:
        values: A batch of them, `(n, ...)`.
        is_logits: True, False, or None where the model's last layer does not tell.

    Raises:
        ValueError: If it cannot be known.
    """
    if is_logits:
        return None
    within = bool(_within(values).all())
    if within and values.ndim > 1 and values.shape[-1] > 1 and _sums_to_one(values).all():
        return "softmax"
    if is_logits is None and not within:
        return None
    if is_logits is None:
        raise ValueError(
            "It cannot be known whether the teacher gives probabilities: say from_logits=True "
            "(logits or real values) or from_logits=False (probabilities). Received: "
            "from_logits=None, and values from 0 to 1 that do not sum to 1"
        )
    return "sigmoid"


def _within(values):
    return (values >= 0.0) & (values <= 1.0)


def _sums_to_one(values):
    return np.abs(values.sum(-1) - 1.0) < 1e-2


def check_probabilities(values, activation, position):
    """Raises if these are none, or none of a softmax where `activation` says so."""
    rows = all_of_rows(_within(values))
    if not rows.all():
        raise ValueError(
            "Probabilities lie between 0 and 1: if the teacher gives logits or real values, say "
            "from_logits=True. Received: values from "
            f"{values.min():g} to {values.max():g}, first in example {position + rows.argmin()}"
        )
    if activation != "softmax":
        return
    rows = all_of_rows(_sums_to_one(values))
    if not rows.all():
        raise ValueError(
            "`top_k` is for probabilities of one softmax, which sum to 1. Received: a sum of "
            f"{values[rows.argmin()].sum(-1).max():g} in example {position + rows.argmin()}"
        )


def all_of_rows(found):
    """Returns for each example whether all of it is true."""
    return found.reshape(len(found), -1).all(-1)


def logits_of(values, activation):
    """Returns logits that the activation maps back to `values`; None is that of logits."""
    if activation is None:
        return values
    log_p = np.log(np.maximum(values, SMALLEST))
    if activation == "softmax":
        return log_p
    return log_p - np.log(np.maximum(1.0 - values, SMALLEST))


def logsumexp(values):
    """Returns the logarithm of the sum of exponentials over the last axis, which stays as one."""
    largest = values.max(-1, keepdims=True)
    return largest + np.log(np.exp(values - largest).sum(-1, keepdims=True))
