"""Hinton's divergence the other way round."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.losses.formula.divergence import softened_divergence
from keras_kd.losses.formula.top_k import softened_groups
from keras_kd.losses.temperature_loss import TemperatureLoss
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class ReverseKDLoss(TemperatureLoss):
    """Kullback-Leibler divergence of the teacher from the student, times T squared.

    ```
    T^2 * sum_c p_s (log p_s - log p_t),   p = softmax(z / T)
    ```

    A student that cannot follow all of the teacher's distribution leaves out what it cannot reach,
    where `KDLoss` would spread it over everything: less likely text is not made up.

    Args:
        temperature: T, 1.0 by default as published, and the loss' own; None is the Distiller's.
        **kwargs: As in `KDLoss`.

    Call arguments: logits of shape `(..., C)` from teacher and student, or top-k labels from the
    teacher, for the distribution that spreads the remaining mass evenly over the other classes
    (`ResponseLoss`); one value each `(...)`.

    Raises:
        ValueError: If the temperature is not above 0, or the shapes differ.

    Example:

    >>> import numpy as np, keras_kd
    >>> loss = keras_kd.losses.ReverseKDLoss()
    >>> round(float(loss(np.array([[0.0, 0.0]]), np.array([[0.0, np.log(3.0)]]))), 4)
    0.1308

    Reference: Gu et al., "MiniLLM: Knowledge Distillation of Large Language Models", ICLR 2024 (on
    sequences that the student writes; here on the classes or tokens of the data).
    """

    reads_top_k = True

    def __init__(self, temperature: float | None = 1.0, **kwargs: Any) -> None:
        super().__init__(temperature, **kwargs)

    def call(
        self,
        teacher_value: Tensor,
        student_value: Tensor,
        temperature: Tensor | float | None = None,
    ) -> Tensor:
        """Returns the softened reverse divergence over the last axis."""
        t = self.own_temperature(temperature)
        if not isinstance(teacher_value, dict):
            return t * t * softened_divergence(student_value, teacher_value, t)
        log_p_student = ops.log_softmax(student_value / t, axis=-1)
        p_student = ops.exp(log_p_student)
        log_p_teacher, _, p_of_groups = softened_groups(teacher_value, p_student, t)
        entropy = -ops.sum(p_student * log_p_student, axis=-1)
        return t * t * (-ops.sum(p_of_groups * log_p_teacher, axis=-1) - entropy)
