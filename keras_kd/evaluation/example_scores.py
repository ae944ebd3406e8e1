"""How well each example is answered, figure by figure."""

from __future__ import annotations

import numpy as np

from keras_kd.evaluation.classification import (
    are_probabilities,
    as_log_probabilities,
    class_labels,
)
from keras_kd.evaluation.find_task import holds_probabilities
from keras_kd.evaluation.multilabel import as_label_logits


def example_scores(
    task: str, name: str, targets: np.ndarray, *outputs: np.ndarray
) -> list[dict[str, np.ndarray]]:
    """Returns what each example adds to the mean of each figure, for several answers of one model.

    Whether they are logits or probabilities is judged by all of them together; then each is
    computed with as it were alone, so that equal answers have equal scores to the last bit.

    Args:
        task: What `find_task` said.
        name: The model's name, for warnings.
        targets: As data have them, `(N, ...)`.
        *outputs: Float32 outputs `(N, ...)`, of as many passes.

    Returns:
        For each pass arrays `(N,)` of float64 by figure: `accuracy` and `nll`, of a regression
        `mae` and `mse`.
    """
    if task == "classification":
        probabilities = are_probabilities(np.concatenate(outputs), name)
        labels = class_labels(targets)
        return [_chosen(as_log_probabilities(each, probabilities), labels) for each in outputs]
    if task == "multilabel":
        probabilities = holds_probabilities(np.concatenate(outputs), name, exclusive=False)
        return [_said(as_label_logits(each, probabilities), targets > 0) for each in outputs]
    return [_missed(each, targets) for each in outputs]


def _chosen(log_p, labels):
    log_p = log_p.astype("float64")
    right = log_p.argmax(axis=1) == labels
    return {"accuracy": right.astype("float64"), "nll": -log_p[np.arange(len(labels)), labels]}


def _said(logits, wanted):
    logits = logits.astype("float64")
    nll = np.logaddexp(0.0, logits) - wanted * logits
    return {"accuracy": ((logits > 0) == wanted).mean(axis=1), "nll": nll.mean(axis=1)}


def _missed(outputs, targets):
    wanted = targets.reshape(len(targets), -1).astype("float64")
    error = outputs.reshape(wanted.shape) - wanted
    return {"mae": np.abs(error).mean(axis=1), "mse": (error**2).mean(axis=1)}
