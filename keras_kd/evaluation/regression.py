"""Quality of models that predict numbers."""

import keras
import numpy as np

from keras_kd.evaluation.predictions import in_chunks


def regression_scores(targets, outputs, weights=None, reference=None) -> dict:
    """Scores one model.

    `distance` is the mean absolute difference between the predictions of the model and of the
    reference, in the unit of the targets.

    Args:
        targets: Array `(N, ...)` of floats.
        outputs: Predictions `(N, ...)` of the model.
        weights: Weights `(N,)` of the examples or `None`.
        reference: Predictions `(N, ...)` of the reference or `None`.

    Returns:
        The scores by name, `None` where one does not apply: `r2` if all targets are the same.
    """
    targets = targets.reshape(len(targets), -1)
    # In float32 the sums of squares of far-off targets (years, prices) would cancel: R2, MAE and
    # RMSE stay the same when targets and predictions move together.
    centre = targets.mean(axis=0, dtype="float64")
    targets, outputs, reference = (
        None if a is None else (a.reshape(targets.shape) - centre).astype("float32")
        for a in (targets, outputs, reference)
    )
    mae = keras.metrics.MeanAbsoluteError()
    rmse = keras.metrics.RootMeanSquaredError()
    r2 = keras.metrics.R2Score()
    distance = keras.metrics.MeanAbsoluteError()
    for y, p, r, w in in_chunks(targets, outputs, reference, weights):
        mae.update_state(y, p, w)
        rmse.update_state(y, p, w)
        r2.update_state(y, p, w)
        if r is not None:
            distance.update_state(r, p, w)
    return {
        "mae": float(mae.result()),
        "rmse": float(rmse.result()),
        "r2": float(r2.result()) if np.ptp(targets, axis=0).all() else None,
        "distance": None if reference is None else float(distance.result()),
    }
