"""The base class of losses with a temperature."""

from __future__ import annotations

import numbers
from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_temperature
from keras_kd.losses.response_loss import ResponseLoss

DEFAULT_TEMPERATURE = 4.0


@keras.saving.register_keras_serializable(package="keras_kd")
class TemperatureLoss(ResponseLoss):
    """A response loss whose logits are divided by a temperature.

    Args:
        temperature: A number above 0 that is this loss's own and stays, or None for the
            Distiller's, which callbacks schedule (4.0 when the loss is used alone).
        **kwargs: As in `ResponseLoss`.
    """

    def __init__(self, temperature: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.temperature = None if temperature is None else check_temperature(temperature)

    def own_temperature(self, temperature: Any) -> Any:
        """Returns the temperature to use, given the Distiller's or None."""
        if self.temperature is not None:
            return self.temperature
        if temperature is None:
            return DEFAULT_TEMPERATURE
        if isinstance(temperature, numbers.Real | str):
            return check_temperature(temperature)
        return ops.convert_to_tensor(temperature, dtype=self.dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "temperature": self.temperature}
