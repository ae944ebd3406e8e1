"""Quality of models that say yes or no to each of several labels."""

import keras
import numpy as np

from keras_kd.evaluation.auc import macro_auc
from keras_kd.evaluation.find_task import holds_probabilities
from keras_kd.evaluation.macro import macro_precision_recall_f1
from keras_kd.evaluation.predictions import in_chunks


def label_logits(outputs: np.ndarray, name: str) -> np.ndarray:
    """Logits `(N, C)` from logits or probabilities `(N, C)`.

    Args:
        outputs: Array of float32.
        name: The model's name, for warnings.

    Returns:
        Array of float32. A probability of 0 counts as the smallest normal float32, one of 1 as
        the largest float32 below it.
    """
    return as_label_logits(outputs, holds_probabilities(outputs, name, exclusive=False))


def as_label_logits(outputs: np.ndarray, probabilities: bool) -> np.ndarray:
    """Does `label_logits` where it is known whether outputs are probabilities."""
    if not probabilities:
        return outputs
    below_one = np.nextafter(np.float32(1.0), np.float32(0.0))
    p = np.clip(outputs, np.finfo("float32").tiny, below_one).astype("float64")
    return (np.log(p) - np.log1p(-p)).astype("float32")


def multilabel_scores(targets, logits, weights=None, reference=None) -> dict:
    """Scores one model; a label is predicted where its probability is above 0.5.

    `nll` is the binary cross-entropy and `kl` the divergence KL(reference || model) of the
    Bernoulli distributions, both as means over examples and labels.

    Args:
        targets: Array `(N, C)` of 0 and 1.
        logits: Logits `(N, C)` of the model.
        weights: Weights `(N,)` of the examples or `None`.
        reference: Logits `(N, C)` of the reference or `None`.

    Returns:
        The scores by name, `None` where one does not apply.
    """
    targets = targets.astype("float32")
    accuracy = keras.metrics.BinaryAccuracy(threshold=0.5)
    exact = keras.metrics.Mean()
    f1 = keras.metrics.F1Score(average="macro", threshold=0.5)
    nll = keras.metrics.BinaryCrossentropy(from_logits=True)
    agreement = keras.metrics.BinaryAccuracy(threshold=0.5)
    kl = keras.metrics.Mean()
    for y, z, r, w in in_chunks(targets, logits, reference, weights):
        predicted = (z > 0).astype("float32")
        accuracy.update_state(y, predicted, w)
        exact.update_state((y == predicted).all(axis=1).astype("float32"), w)
        f1.update_state(y, predicted, w)
        nll.update_state(y, z, w)
        if r is not None:
            agreement.update_state((r > 0).astype("float32"), predicted, w)
            kl.update_state(_bernoulli_kl(r, z).mean(axis=1), w)
    return {
        "accuracy": float(accuracy.result()),
        "exact_match": float(exact.result()),
        **macro_precision_recall_f1(f1),
        "auc": macro_auc(targets > 0, logits, weights),
        "nll": float(nll.result()),
        "agreement": None if reference is None else float(agreement.result()),
        "kl": None if reference is None else float(kl.result()),
    }


def _bernoulli_kl(reference, logits):
    yes = np.exp(-np.logaddexp(0.0, -reference))
    log_yes = np.logaddexp(0.0, -logits) - np.logaddexp(0.0, -reference)
    log_no = np.logaddexp(0.0, logits) - np.logaddexp(0.0, reference)
    return yes * log_yes + (1.0 - yes) * log_no
