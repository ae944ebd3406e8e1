"""Generalised Jensen-Shannon divergence."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_fraction
from keras_kd.losses.formula.divergence import divergence_from, softened_pair
from keras_kd.losses.temperature_loss import TemperatureLoss
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class JSDLoss(TemperatureLoss):
    """Divergence of teacher and student from their mixture, between `KDLoss` and `ReverseKDLoss`.

    ```
    T^2 * (beta KL(p_t || m) + (1 - beta) KL(p_s || m))
    m = beta p_t + (1 - beta) p_s,   p = softmax(z / T)
    ```

    It is bounded, by T^2 ln 2 at `beta=0.5`. Near 0 it is `beta` times KDLoss, near 1 `1 - beta`
    times ReverseKDLoss. The paper has T 1; the factor T^2 is that of the other losses here.

    Args:
        temperature: T, 1.0 by default as published, and the loss' own; None is the Distiller's.
        beta: The teacher's share of the mixture, between 0 and 1. Defaults to 0.5.
        **kwargs: As in `KDLoss`.

    Call arguments: logits of shape `(..., C)` from teacher and student; one value each `(...)`.

    Raises:
        ValueError: If an argument is out of its range, or the shapes differ.

    Example:

    >>> import numpy as np, keras_kd
    >>> loss = keras_kd.losses.JSDLoss()
    >>> round(float(loss(np.array([[0.0, 99.0]]), np.array([[99.0, 0.0]]))), 4)
    0.6931

    Reference: Agarwal et al., "On-Policy Distillation of Language Models: Learning from
    Self-Generated Mistakes" (GKD), ICLR 2024.
    """

    def __init__(
        self, temperature: float | None = 1.0, *, beta: float = 0.5, **kwargs: Any
    ) -> None:
        super().__init__(temperature, **kwargs)
        self.beta = check_fraction(beta, "beta")
        if self.beta in (0.0, 1.0):
            raise ValueError(
                "`beta` must be between 0 and 1: at both ends the formula is 0 whatever the "
                "student says; take KDLoss or ReverseKDLoss there. "
                f"Received: beta={beta!r}"
            )

    def call(
        self,
        teacher_value: Tensor,
        student_value: Tensor,
        temperature: Tensor | float | None = None,
    ) -> Tensor:
        """Returns the weighted divergences from the mixture over the last axis."""
        t = self.own_temperature(temperature)
        p_teacher, p_student, d = softened_pair(teacher_value, student_value, t)
        # m / p_t = beta + (1 - beta) e^d and m / p_s = 1 - beta + beta e^-d
        mixture = self.beta * p_teacher + (1.0 - self.beta) * p_student
        from_teacher, _ = divergence_from(p_teacher, mixture, _log_mixed(d, self.beta))
        from_student, _ = divergence_from(p_student, mixture, _log_mixed(-d, 1.0 - self.beta))
        return t * t * (self.beta * from_teacher + (1.0 - self.beta) * from_student)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "beta": self.beta}


def _log_mixed(d, share):
    """Returns log(share + (1 - share) e^d), right to the last digits where d is small."""
    near = ops.abs(d) < 1.0
    small = ops.where(near, d, ops.zeros_like(d))
    away = ops.softplus(d + math.log((1.0 - share) / share)) + math.log(share)
    return ops.where(near, ops.log1p((1.0 - share) * ops.expm1(small)), away)
