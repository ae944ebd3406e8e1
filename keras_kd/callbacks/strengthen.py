"""A teacher who is heard more while the student stands still."""

from __future__ import annotations

from typing import Any

import keras

from keras_kd.callbacks.distiller_callback import DistillerCallback
from keras_kd.callbacks.monitored_value import monitored_value
from keras_kd.checks import check_fraction, check_number, check_temperature, check_whole_number


class Strengthen(keras.callbacks.EarlyStopping, DistillerCallback):
    """Gives the teacher more weight, or softens it, while a metric is short of its target.

    At the end of each epoch in which the metric is short of its target and has not improved for
    `patience` epochs, alpha falls by a step, which raises the teacher's weight `1 - alpha`, and the
    temperature rises by one, both within bounds; then as many epochs pass before the next step.
    From the epoch on that reaches the target nothing changes any more. `StopAtTarget` with the same
    target ends training there.

    What an epoch had is logged as `alpha` and `temperature`. Both are part of the Distiller, so
    they are as they were in a training that is resumed, if this callback stands before
    `BackupAndRestore`; the best value and the epochs without improvement are counted anew.

    Args:
        monitor: The metric's name in the logs of every epoch, such as `"val_accuracy"`.
        target: The value to reach.
        patience: Epochs without improvement before each step, at least 1. Defaults to 1.
        min_delta: What is no improvement yet, at least 0. Defaults to 0.
        alpha_step: What alpha falls by. Defaults to 0.1.
        least_alpha: Where alpha stays; one that begins below is left alone. Defaults to 0.05.
        temperature_step: What the temperature rises by. Defaults to 0, which leaves it alone.
        most_temperature: Where the temperature stays. Defaults to 20.
        mode: `"max"`, `"min"` or `"auto"`, the metric's own direction, as in
            `keras.callbacks.EarlyStopping`.
        verbose: 1 prints each change.

    Attributes:
        history: One dict for each change: `epoch` (from 0), the metric's value at its end, and
            `alpha` and `temperature` from then on. Each `fit` begins another list.

    Raises:
        TypeError, ValueError: If an argument is wrong, both steps are 0 or, after the first epoch,
            the logs lack the metric.

    Example:

    >>> import keras_kd
    >>> callback = keras_kd.callbacks.Strengthen("val_accuracy", 0.98, patience=2)
    """

    def __init__(
        self,
        monitor: str,
        target: float,
        *,
        patience: int = 1,
        min_delta: float = 0.0,
        alpha_step: float = 0.1,
        least_alpha: float = 0.05,
        temperature_step: float = 0.0,
        most_temperature: float = 20.0,
        mode: str = "auto",
        verbose: int = 0,
    ) -> None:
        if mode not in ("auto", "max", "min"):
            raise ValueError(f"`mode` must be 'auto', 'max' or 'min'. Received: mode={mode!r}")
        super().__init__(
            monitor=monitor,
            min_delta=check_number("min_delta", min_delta, least=0.0),
            patience=check_whole_number("patience", patience, least=1),
            verbose=verbose,
            mode=mode,
        )
        self.target = check_number("target", target)
        self.alpha_step = check_number("alpha_step", alpha_step, least=0.0, most=1.0)
        self.least_alpha = check_fraction(least_alpha, "least_alpha")
        self.temperature_step = check_number("temperature_step", temperature_step, least=0.0)
        self.most_temperature = check_temperature(most_temperature, "most_temperature")
        if not self.alpha_step and not self.temperature_step:
            raise ValueError(
                "One of `alpha_step` and `temperature_step` must be above 0, or nothing would ever "
                f"change. Received: alpha_step={alpha_step}, temperature_step={temperature_step}"
            )
        self.history: list[dict[str, Any]] = []
        self.best: Any = None
        self._is_reached = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Begins to count."""
        super().on_train_begin(logs)
        self.history, self._is_reached = [], False

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Logs what the epoch had, and changes it for the next if the student stands still."""
        logs = {} if logs is None else logs
        value = monitored_value(self.monitor, logs)
        logs.update(self._strength())
        if self.monitor_op is None:
            self._set_monitor_op()
        reached = value == self.target or bool(self.monitor_op(value, self.target))
        self._is_reached = self._is_reached or reached
        if self._is_reached:
            return
        if self._is_improvement(value, self.best):
            self.best, self.wait = value, 0
            return
        self.wait += 1
        if self.wait >= self.patience:
            self.wait = 0
            self._strengthen(epoch, value)

    def _strength(self):
        names = ("alpha", "temperature")
        return {
            name: float(keras.ops.convert_to_numpy(getattr(self.model, name))) for name in names
        }

    def _strengthen(self, epoch, value):
        before = self._strength()
        alpha, temperature = before["alpha"], before["temperature"]
        self.model.alpha = max(alpha - self.alpha_step, min(alpha, self.least_alpha))
        self.model.temperature = min(
            temperature + self.temperature_step, max(temperature, self.most_temperature)
        )
        after = self._strength()
        if after == before:
            return
        self.history.append({"epoch": epoch, self.monitor: float(value), **after})
        if self.verbose:
            changes = [f"{k} {before[k]:g} -> {after[k]:g}" for k in after if after[k] != before[k]]
            print(
                f"\nEpoch {epoch + 1}: {self.monitor} {value:g} is short of {self.target:g} and "
                f"stands still: {', '.join(changes)}."
            )
