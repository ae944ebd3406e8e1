"""Tells a trial of Optuna how its training goes."""

from __future__ import annotations

from typing import Any

import keras

from keras_kd.tuning.optuna_package import optuna_package


class ReportToTrial(keras.callbacks.Callback):
    """Reports a metric to an Optuna trial after each epoch, and ends a training that is pruned.

    `search` brings it along; it is for objectives that you write for Optuna yourself. Where the
    study's pruner gives a trial up, the epoch is the last one, and `fit` raises
    `optuna.TrialPruned` once all callbacks before this one have ended: put it last.

    Args:
        trial: The `optuna.Trial` that the objective was given.
        monitor: The metric's name in the logs, such as `"val_accuracy"`. An epoch without
            validation (`validation_freq`) reports nothing.

    Raises:
        ImportError: If Optuna is not installed.
        ValueError: At the end of the first training in which the logs never had the metric.

    Example:

    >>> import keras, numpy as np, optuna
    >>> from keras_kd.tuning import ReportToTrial
    >>> x, y = np.ones((8, 4)), np.zeros(8)
    >>> def objective(trial):
    ...     model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    ...     model.compile(keras.optimizers.SGD(trial.suggest_float("rate", 0.01, 0.1)), "mse")
    ...     history = model.fit(x, y, validation_data=(x, y), verbose=0,
    ...                         callbacks=[ReportToTrial(trial, "val_loss")])
    ...     return history.history["val_loss"][-1]
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> study = optuna.create_study()
    >>> study.optimize(objective, n_trials=1)
    >>> sorted(study.trials[0].intermediate_values)
    [0]
    """

    def __init__(self, trial: Any, monitor: str) -> None:
        super().__init__()
        self._pruned = optuna_package().TrialPruned
        self.trial = trial
        self.monitor = monitor

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Starts afresh."""
        self._available: set[str] = set()
        self._gave_up_at: int | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Reports the epoch's value, and makes the epoch the last if that is not good enough."""
        logs = logs or {}
        self._available |= set(logs)
        if self.monitor not in logs:
            return
        self.trial.report(float(logs[self.monitor]), step=epoch)
        if self.trial.should_prune():
            self._gave_up_at = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Raises `optuna.TrialPruned` if the trial was given up."""
        if self._gave_up_at is not None:
            raise self._pruned(f"Given up after epoch {self._gave_up_at + 1}.")
        if self._available and self.monitor not in self._available:
            raise ValueError(
                "The logs hold no such metric. "
                f"Received: monitor={self.monitor!r}. Available: {sorted(self._available)}"
            )
