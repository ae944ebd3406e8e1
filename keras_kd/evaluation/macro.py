"""Means over classes."""

import keras
import numpy as np


def macro_precision_recall_f1(f1: keras.metrics.F1Score) -> dict:
    """Reads macro precision, recall and F1 from one metric that has counted.

    ```
    precision = mean_c TP_c / (TP_c + FP_c)        recall = mean_c TP_c / (TP_c + FN_c)
    ```

    A class with nothing to divide by counts as 0, as `keras.metrics.F1Score` does it.

    Args:
        f1: An `F1Score(average="macro")` after its updates.

    Returns:
        The three values, as `precision`, `recall` and `f1`.
    """
    hits, extra, missed = (
        keras.ops.convert_to_numpy(count).astype("float64")
        for count in (f1.true_positives, f1.false_positives, f1.false_negatives)
    )
    return {
        "precision": _mean_ratio(hits, hits + extra),
        "recall": _mean_ratio(hits, hits + missed),
        "f1": float(f1.result()),
    }


def _mean_ratio(part, whole):
    return float(np.mean(np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)))
