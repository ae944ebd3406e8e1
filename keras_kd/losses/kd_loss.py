"""Hinton's distillation loss."""

from __future__ import annotations

import keras
from keras import ops

from keras_kd.losses.formula.divergence import softened_divergence
from keras_kd.losses.formula.top_k import softened_groups
from keras_kd.losses.temperature_loss import TemperatureLoss
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class KDLoss(TemperatureLoss):
    """Kullback-Leibler divergence of the softened distributions, times T squared.

    ```
    T^2 * sum_c p_t (log p_t - log p_s),   p = softmax(z / T)
    ```

    Computed in float32 without clipping and without cancellation: exact and with a finite gradient
    at any gap between logits, right to 1e-5 up to T 1e5 and for distances down to 1e-8. The factor
    T^2 keeps the gradient's size as T grows. (Of top-k labels the equation's own sum is taken,
    whose rounding is about 1e-7 T^2.) A logit of minus infinity, as of a masked class, is a
    probability of 0; where the teacher's is not, the divergence has no bound.

    Args:
        temperature: T. None (the default) is the Distiller's, 4.0 when the loss is used alone.
        **kwargs: `teacher_from_logits`, `student_from_logits`, `weight`, `layers`, `name`,
            `reduction`, `dtype`.

    Call arguments: logits of shape `(..., C)` from teacher and student, or top-k labels from the
    teacher, for the distribution that spreads the remaining mass evenly over the other classes
    (`ResponseLoss`); one value each `(...)`.

    Raises:
        ValueError: If the temperature is not above 0, or the shapes differ.

    Example:

    >>> import numpy as np, keras_kd
    >>> loss = keras_kd.losses.KDLoss(temperature=1.0)
    >>> round(float(loss(np.array([[0.0, np.log(3.0)]]), np.array([[0.0, 0.0]]))), 4)
    0.1308

    Reference: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", NIPS 2014
    Deep Learning Workshop (arXiv 2015).
    """

    reads_top_k = True

    def call(
        self,
        teacher_value: Tensor,
        student_value: Tensor,
        temperature: Tensor | float | None = None,
    ) -> Tensor:
        """Returns the softened KL divergence over the last axis."""
        t = self.own_temperature(temperature)
        if not isinstance(teacher_value, dict):
            return t * t * softened_divergence(teacher_value, student_value, t)
        log_p_student = ops.log_softmax(student_value / t, axis=-1)
        log_p_teacher, size, log_p_student = softened_groups(teacher_value, log_p_student, t)
        difference = size * log_p_teacher - log_p_student
        return t * t * ops.sum(ops.exp(log_p_teacher) * difference, axis=-1)
