"""Channel-wise distillation."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_same_shape, check_temperature
from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.losses.formula.positions import check_positions, flatten_positions, real_positions
from keras_kd.typing import Tensor

_PADDING = -1e30  # where softmax gives 0


@keras.saving.register_keras_serializable(package="keras_kd")
class CWDLoss(DistillationLoss):
    """Kullback-Leibler divergence between where each channel is active.

    ```
    T^2 / C * sum_c sum_i p_t log(p_t / p_s),   p = softmax over positions i of F_c / T
    ```

    Made for dense prediction (segmentation, detection): on class scores at each pixel or on feature
    maps. A constant added to a channel changes nothing. Masked positions leave the softmax.

    Args:
        temperature: T, this loss' own. Defaults to 4.
        weight: Defaults to 1. The authors' command has 3 for score maps.
        **kwargs: `layers`, `name`, `reduction`, `dtype`.

    Call arguments: maps `(B, H, W, C)` or sequences `(B, L, C)` of one shape; one value a sample.

    Raises:
        ValueError: If the temperature is not above 0, or the values have no positions or differ in
            shape.

    Example:

    >>> import numpy as np, keras_kd
    >>> x = np.random.default_rng(0).normal(size=(2, 4, 4, 3))
    >>> abs(float(keras_kd.losses.CWDLoss()(x, x + 7.0))) < 1e-5
    True

    Reference: Shu, Liu, Gao, Yan, Shen, "Channel-wise Knowledge Distillation for Dense Prediction",
    ICCV 2021.
    """

    match = "shape"

    def __init__(self, temperature: float = 4.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.temperature = check_temperature(temperature)

    def call(
        self, teacher_value: Tensor, student_value: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Returns each sample's divergence, the mean over channels."""
        check_positions(self.name, student_value)
        check_same_shape(self.name, teacher_value, student_value)
        keep = flatten_positions(real_positions(mask, student_value))
        teacher, student = (
            ops.log_softmax(
                ops.where(keep > 0.0, flatten_positions(value) / self.temperature, _PADDING), axis=1
            )
            for value in (teacher_value, student_value)
        )
        divergence = ops.sum(ops.exp(teacher) * (teacher - student), axis=1)
        return self.temperature**2 * ops.mean(divergence, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "temperature": self.temperature}
