"""Stops when a metric is good enough."""

from __future__ import annotations

from typing import Any

import keras

from keras_kd.callbacks.monitored_value import monitored_value
from keras_kd.checks import check_number


class StopAtTarget(keras.callbacks.EarlyStopping):
    """Stops training at the end of the epoch in which a metric reaches its target.

    Args:
        monitor: The metric's name in the logs, such as `"val_accuracy"`.
        target: The value to reach.
        mode: `"max"`, `"min"` or `"auto"`, the metric's own direction, as in
            `keras.callbacks.EarlyStopping`.
        verbose: 1 prints when it stops.

    Raises:
        ValueError: If the target is no number or, after the first epoch, the logs lack the metric.

    Example:

    >>> import keras_kd
    >>> callback = keras_kd.callbacks.StopAtTarget("val_accuracy", 0.98)
    """

    def __init__(
        self, monitor: str, target: float, *, mode: str = "auto", verbose: int = 0
    ) -> None:
        super().__init__(monitor=monitor, mode=mode, verbose=verbose)
        self.target = check_number("target", target)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Stops if the metric is at its target or beyond."""
        value = monitored_value(self.monitor, logs)
        if self.monitor_op is None:
            self._set_monitor_op()
        if value == self.target or self.monitor_op(value, self.target):
            self.stopped_epoch = epoch
            self.model.stop_training = True
