"""Schedules alpha."""

from __future__ import annotations

import keras

from keras_kd.callbacks.variable_scheduler import VariableScheduler
from keras_kd.checks import check_fraction


class AlphaScheduler(VariableScheduler):
    """Changes the weight of the labels, `alpha`, while the Distiller trains.

    Args:
        schedule: `f(epoch_or_step, current) -> float` from 0 to 1, or a
            `keras.optimizers.schedules` object.
        per: `"epoch"` or `"batch"`; see `VariableScheduler` for the default.
        verbose: 1 prints the value at each epoch.

    Raises:
        ValueError: In training, if the schedule leaves 0 to 1 or is NaN, or raises alpha above 0
            where there are no labels.

    Example:

    >>> import keras_kd
    >>> callback = keras_kd.callbacks.AlphaScheduler(lambda epoch, alpha: min(1.0, 0.1 * epoch))
    """

    name = attribute = "alpha"

    def variable(self) -> keras.Variable:
        """Returns the Distiller's `alpha`."""
        return self.model.alpha

    def check(self, value: float) -> float:
        """Returns the value if it is from 0 to 1, and 0 where there are no labels."""
        value = check_fraction(value)
        if value > 0 and getattr(self.model, "trains_unlabelled", False):
            raise ValueError(
                "alpha weighs labels, and the data has none: the schedule must stay at 0. "
                f"Received: alpha={value}"
            )
        return value
