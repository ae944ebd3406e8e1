"""Distillation of multi-label outputs."""

from __future__ import annotations

import keras
from keras import ops

from keras_kd.losses.formula.divergence import coins_divergence
from keras_kd.losses.temperature_loss import TemperatureLoss
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class BinaryKDLoss(TemperatureLoss):
    """Kullback-Leibler divergence of independent yes-or-no labels, summed over labels.

    ```
    T^2 * sum_c KL(Bernoulli(sigmoid(z_t / T)) || Bernoulli(sigmoid(z_s / T)))
    ```

    For models with one sigmoid (or one logit) a label, one label included.

    Args:
        temperature: T. None (the default) is the Distiller's, 4.0 when the loss is used alone.
        **kwargs: As in `KDLoss`.

    Call arguments: logits of shape `(..., C)` from teacher and student; one value each `(...)`.

    Example:

    >>> import numpy as np, keras_kd
    >>> loss = keras_kd.losses.BinaryKDLoss(temperature=1.0)
    >>> round(float(loss(np.array([[np.log(3.0)]]), np.array([[0.0]]))), 4)
    0.1308

    Reference: the sum of Hinton, Vinyals, Dean (2015) over binary labels; as in Yang et al.,
    "Multi-Label Knowledge Distillation", ICCV 2023.
    """

    activation = "sigmoid"

    def call(
        self,
        teacher_value: Tensor,
        student_value: Tensor,
        temperature: Tensor | float | None = None,
    ) -> Tensor:
        """Returns the sum over the last axis of the binary divergences."""
        t = self.own_temperature(temperature)
        return t * t * ops.sum(coins_divergence(teacher_value, student_value, t), axis=-1)
