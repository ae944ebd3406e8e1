"""The base class of schedules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_kd.callbacks.distiller_callback import DistillerCallback
from keras_kd.checks import check_number, check_takes

_WANTED = "f(epoch_or_step, current) -> float, or f(epoch_or_step) -> float"


class VariableScheduler(DistillerCallback):
    """Sets one of the Distiller's variables from a schedule, and logs what it set.

    Models of `keras_kd.schemes` that have such a variable are scheduled in the same way.

    Args:
        schedule: `f(epoch_or_step, current) -> float`, or a
            `keras.optimizers.schedules.LearningRateSchedule`, which is called with the position
            alone.
        per: `"epoch"` or `"batch"`: what is counted, from 0. Batches are counted over the whole
            training, a resumed one included, whatever the optimizer counts. By default epochs for
            a function and batches for a Keras schedule, whose decay steps are batches. With
            `steps_per_execution=N` the value changes every N batches.
        verbose: 1 prints what is set at each epoch.

    Raises:
        ValueError, TypeError: If an argument is wrong, or, in training, the schedule returns what
            the variable must not be.
    """

    name = attribute = "variable"  # in the logs, and where the model has it

    def __init__(
        self, schedule: Callable[..., float], *, per: str | None = None, verbose: int = 0
    ) -> None:
        super().__init__()
        is_keras = isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule)
        if not callable(schedule):
            raise TypeError(
                "`schedule` must be a function f(epoch_or_step, current) or a "
                f"keras.optimizers.schedules object. Received: schedule={schedule!r}"
            )
        if per not in (None, "epoch", "batch"):
            raise ValueError(f"`per` must be 'epoch' or 'batch'. Received: per={per!r}")
        self.schedule = schedule
        self.per = per or ("batch" if is_keras else "epoch")
        self.verbose = verbose
        taken = 1 if is_keras else check_takes("schedule", schedule, _WANTED, (2, 1))
        self._takes_current = taken != 1
        self._first_batch = 0

    def set_model(self, model: keras.Model) -> None:
        """Keras' hook: the model is known, training has not begun."""
        if all(hasattr(model, name) for name in ("batches_seen", self.attribute)):
            keras.callbacks.Callback.set_model(self, model)
        else:
            super().set_model(model)

    def variable(self) -> keras.Variable:
        """Returns the Distiller's variable that is scheduled."""
        raise NotImplementedError

    def check(self, value: float) -> float:
        """Returns the value as a float, or raises if the variable must not take it."""
        return check_number(self.name, value)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets the epoch's value, or notes where its batches begin."""
        if self.per == "epoch":
            self._set(epoch)
        else:
            self._first_batch = int(keras.ops.convert_to_numpy(self.model.batches_seen))
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: {self.name} is {self._current():g}.")

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets the batch's value."""
        if self.per == "batch":
            self._set(self._first_batch + batch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Logs the value under the variable's name."""
        if logs is not None:
            logs[self.name] = self._current()

    def _set(self, position):
        arguments = (position, self._current()) if self._takes_current else (position,)
        value = self.schedule(*arguments)
        if keras.ops.is_tensor(value):
            value = keras.ops.convert_to_numpy(value)
        self.variable().assign(self.check(value))

    def _current(self):
        return float(keras.ops.convert_to_numpy(self.variable()))
