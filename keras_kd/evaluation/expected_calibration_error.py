"""How far confidence is from accuracy."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_kd")
class ExpectedCalibrationError(keras.metrics.Metric):
    """Gap between confidence and accuracy, averaged over bins of equal width.

    ```
    ECE = sum_m |B_m| / n * |accuracy(B_m) - confidence(B_m)|,    B_m = ((m - 1) / M, m / M]
    ```

    The confidence of an example is its largest probability; the example is right where the class
    of that probability is its label.

    Args:
        bins: Number of bins M. Default 15, as published.
        name: Name of the metric.
        dtype: Dtype of the computation.

    Raises:
        ValueError: If `bins` is not a positive whole number.

    Example:
        >>> import keras_kd.evaluation.expected_calibration_error as module
        >>> metric = module.ExpectedCalibrationError()
        >>> metric.update_state([0, 1], [[0.9, 0.1], [0.7, 0.3]])
        >>> round(float(metric.result()), 4)  # (|1 - 0.9| + |0 - 0.7|) / 2
        0.4

    Reference:
        Guo, Pleiss, Sun, Weinberger. On Calibration of Modern Neural Networks. ICML 2017.
    """

    def __init__(self, bins=15, name="expected_calibration_error", dtype=None):
        super().__init__(name=name, dtype=dtype)
        if not isinstance(bins, int) or bins < 1:
            raise ValueError(f"A positive whole number was expected. Received: bins={bins}")
        self.bins = bins
        self.weight = self.add_weight(shape=(bins,), initializer="zeros", name="weight")
        self.gap = self.add_weight(shape=(bins,), initializer="zeros", name="gap")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts a batch.

        Args:
            y_true: Labels, whole numbers of shape `(B,)` or `(B, 1)`.
            y_pred: Probabilities of shape `(B, C)`.
            sample_weight: Optional weights of shape `(B,)` or `(B, 1)`.
        """
        y_pred = ops.cast(y_pred, self.dtype)
        y_true = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        confidence = ops.max(y_pred, axis=-1)
        right = ops.cast(
            ops.equal(ops.cast(ops.argmax(y_pred, axis=-1), "int32"), y_true), self.dtype
        )
        weight = ops.ones_like(confidence)
        if sample_weight is not None:
            weight = ops.reshape(ops.cast(sample_weight, self.dtype), (-1,))
        member = ops.one_hot(bin_of(confidence, self.bins), self.bins, dtype=self.dtype)
        member = member * ops.expand_dims(weight, -1)
        self.weight.assign_add(ops.sum(member, axis=0))
        self.gap.assign_add(ops.sum(member * ops.expand_dims(right - confidence, -1), axis=0))

    def result(self):
        """The error over all batches counted since the last reset, a scalar in [0, 1]."""
        return ops.divide_no_nan(ops.sum(ops.abs(self.gap)), ops.sum(self.weight))

    def get_config(self):
        """The arguments, for saving."""
        return {"bins": self.bins, "name": self.name, "dtype": self.dtype}


def bin_of(confidence, bins: int):
    """Returns the number of the bin of each confidence, m - 1 for ((m - 1) / M, m / M].

    Args:
        confidence: Tensor of floats in [0, 1]; 0 is in the first bin.
        bins: Number of bins M.
    """
    return ops.cast(ops.clip(ops.ceil(confidence * bins) - 1, 0, bins - 1), "int32")
