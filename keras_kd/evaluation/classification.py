"""Quality of models that choose one class of several."""

import keras
import numpy as np
from keras import ops

from keras_kd.evaluation.auc import macro_auc
from keras_kd.evaluation.expected_calibration_error import ExpectedCalibrationError
from keras_kd.evaluation.find_task import holds_probabilities
from keras_kd.evaluation.macro import macro_precision_recall_f1
from keras_kd.evaluation.predictions import in_chunks


def class_labels(targets: np.ndarray) -> np.ndarray:
    """Labels `(N,)` of type int32 from sparse `(N,)`, `(N, 1)` or one-hot `(N, C)` targets."""
    if targets.ndim == 2 and targets.shape[1] > 1:
        targets = targets.argmax(axis=1)
    return targets.reshape(-1).astype("int32")


def log_probabilities(outputs: np.ndarray, name: str) -> np.ndarray:
    """Log probabilities `(N, C)` from logits or probabilities `(N, C)`.

    One output alone is that of class 1 of two. A probability of 0 counts as the smallest normal
    float32, so that a wrong label costs 87.3 nats and not infinitely many.

    Args:
        outputs: Array `(N, C)` or `(N,)` of float32.
        name: The model's name, for warnings.

    Returns:
        Array `(N, max(C, 2))` of float32.
    """
    return as_log_probabilities(outputs, are_probabilities(outputs, name))


def are_probabilities(outputs: np.ndarray, name: str) -> bool:
    """Whether outputs `(N, C)` or `(N,)` are probabilities, and not logits; by all of them."""
    outputs = outputs.reshape(len(outputs), -1)
    return holds_probabilities(outputs, name, exclusive=outputs.shape[1] > 1)


def as_log_probabilities(outputs: np.ndarray, probabilities: bool) -> np.ndarray:
    """Does `log_probabilities` where it is known whether outputs are probabilities."""
    outputs = outputs.reshape(len(outputs), -1)
    alone = outputs.shape[1] == 1
    if probabilities:
        if alone:
            outputs = np.concatenate([1.0 - outputs, outputs], axis=1)
        outputs = np.log(np.maximum(outputs, np.finfo("float32").tiny))
    elif alone:
        outputs = np.concatenate([np.zeros_like(outputs), outputs], axis=1)
    return np.concatenate(
        [ops.convert_to_numpy(ops.log_softmax(part)) for (part,) in in_chunks(outputs)]
    )


def classification_scores(labels, log_p, weights=None, reference=None) -> dict:
    """Scores one model.

    ```
    nll = mean_i -log p_i(label_i)
    kl  = mean_i sum_c r_i(c) * (log r_i(c) - log p_i(c))       r: the reference
    ```

    Precision, recall and F1 are means over all C classes (a class that is never predicted has
    precision 0), as in `keras.metrics.F1Score(average="macro")`.

    Args:
        labels: Array `(N,)` of whole numbers.
        log_p: Log probabilities `(N, C)` of the model.
        weights: Weights `(N,)` of the examples or `None`.
        reference: Log probabilities `(N, C)` of the reference or `None`.

    Returns:
        The scores by name, `None` where one does not apply.
    """
    classes = log_p.shape[1]
    one_hot = np.eye(classes, dtype="float32")
    accuracy = keras.metrics.SparseCategoricalAccuracy()
    top5 = keras.metrics.SparseTopKCategoricalAccuracy(k=min(5, classes))  # PyTorch has no more
    f1 = keras.metrics.F1Score(average="macro", threshold=0.5)
    nll = keras.metrics.SparseCategoricalCrossentropy(from_logits=True)
    ece = ExpectedCalibrationError()
    agreement = keras.metrics.SparseCategoricalAccuracy()
    kl = keras.metrics.Mean()
    for y, p, r, w in in_chunks(labels, log_p, reference, weights):
        accuracy.update_state(y, p, w)
        top5.update_state(y, p, w)
        f1.update_state(one_hot[y], one_hot[p.argmax(axis=1)], w)
        nll.update_state(y, p, w)
        ece.update_state(y, np.exp(p), w)
        if r is not None:
            agreement.update_state(r.argmax(axis=1), p, w)
            kl.update_state((np.exp(r) * (r - p)).sum(axis=1), w)
    return {
        "accuracy": float(accuracy.result()),
        "top5_accuracy": float(top5.result()) if classes > 5 else None,
        **macro_precision_recall_f1(f1),
        "auc": macro_auc(one_hot[labels] > 0, log_p, weights),
        "nll": float(nll.result()),
        "ece": float(ece.result()),
        "agreement": None if reference is None else float(agreement.result()),
        "kl": None if reference is None else float(kl.result()),
    }
