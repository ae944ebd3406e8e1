"""Cross-entropy against the teacher's distribution."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.losses.formula.top_k import softened_groups
from keras_kd.losses.temperature_loss import TemperatureLoss
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class SoftCrossEntropyLoss(TemperatureLoss):
    """Cross-entropy of the student against the teacher's softened distribution.

    ```
    T^2 * -sum_c p_t log p_s,   p = softmax(z / T)
    ```

    It differs from `KDLoss` by the teacher's entropy: the gradient is the same, the value is not
    zero at equality.

    Args:
        temperature: T, 1.0 by default; None is the Distiller's.
        **kwargs: As in `KDLoss`.

    Call arguments: logits of shape `(..., C)` from teacher and student, or top-k labels from the
    teacher, for the distribution that spreads the remaining mass evenly over the other classes
    (`ResponseLoss`); one value each `(...)`.

    Example:

    >>> import numpy as np, keras_kd
    >>> loss = keras_kd.losses.SoftCrossEntropyLoss()
    >>> round(float(loss(np.array([[0.0, 0.0]]), np.array([[0.0, 0.0]]))), 4)
    0.6931

    Reference: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", NIPS 2014
    Deep Learning Workshop (arXiv 2015), section 2.
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
        """Returns the softened cross-entropy over the last axis."""
        t = self.own_temperature(temperature)
        log_p_student = ops.log_softmax(student_value / t, axis=-1)
        log_p_teacher, _, log_p_student = softened_groups(teacher_value, log_p_student, t)
        return -t * t * ops.sum(ops.exp(log_p_teacher) * log_p_student, axis=-1)
