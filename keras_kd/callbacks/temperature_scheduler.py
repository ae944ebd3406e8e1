"""Schedules the temperature."""

from __future__ import annotations

import keras

from keras_kd.callbacks.variable_scheduler import VariableScheduler
from keras_kd.checks import check_temperature


class TemperatureScheduler(VariableScheduler):
    """Changes the temperature while the Distiller trains.

    Losses that were given a temperature of their own keep it.

    Args:
        schedule: `f(epoch_or_step, current) -> float` above 0, or a
            `keras.optimizers.schedules` object.
        per: `"epoch"` or `"batch"`; see `VariableScheduler` for the default.
        verbose: 1 prints the value at each epoch.

    Raises:
        ValueError: In training, if the schedule gives 0, less, or NaN.

    Example:

    >>> import keras, keras_kd
    >>> decay = keras.optimizers.schedules.CosineDecay(8.0, 10_000, alpha=0.125)
    >>> callback = keras_kd.callbacks.TemperatureScheduler(decay)
    """

    name = attribute = "temperature"

    def variable(self) -> keras.Variable:
        """Returns the Distiller's `temperature`."""
        return self.model.temperature

    def check(self, value: float) -> float:
        """Returns the value if it is above 0."""
        return check_temperature(value)
