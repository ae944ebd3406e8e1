"""Schedules the weight of one loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_kd.callbacks.variable_scheduler import VariableScheduler
from keras_kd.checks import check_number
from keras_kd.features.layer_tree import nearest


class LossWeightScheduler(VariableScheduler):
    """Changes the weight of one feature loss, or of the loss on the outputs.

    Args:
        name: The loss' name in the logs; `"kd_loss"` for the outputs (`"<output>_kd_loss"` for one
            of several).
        schedule: `f(epoch_or_step, current) -> float`, at least 0, or a
            `keras.optimizers.schedules` object.
        per: `"epoch"` or `"batch"`; see `VariableScheduler` for the default.
        verbose: 1 prints the value at each epoch.

    Raises:
        TypeError: If an argument is wrong.
        ValueError: When training begins, if the model has no loss of that name; in training,
            if the schedule gives less than 0 or NaN.

    Example:

    >>> import keras_kd
    >>> callback = keras_kd.callbacks.LossWeightScheduler(
    ...     "at_loss", lambda epoch, weight: 1000.0 if epoch < 10 else 0.0)
    """

    attribute = "term_weights"

    def __init__(
        self, name: str, schedule: Callable[..., float], *, per: str | None = None, verbose: int = 0
    ) -> None:
        if not isinstance(name, str):
            raise TypeError(f"`name` must be a loss' name in the logs. Received: name={name!r}")
        super().__init__(schedule, per=per, verbose=verbose)
        self.loss_name = name
        self.name = f"{name}_weight"

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Checks that the loss is there."""
        self.variable()

    def variable(self) -> keras.Variable:
        """Returns the weight's variable."""
        weights = self.model.term_weights
        if self.loss_name not in weights:
            raise ValueError(
                f"The model has no loss of that name. Received: name={self.loss_name!r}."
                f"{nearest(self.loss_name, weights)} Available: {list(weights)}"
            )
        return weights[self.loss_name]

    def check(self, value: float) -> float:
        """Returns the value if it is at least 0."""
        return check_number(self.name, value, least=0.0)
