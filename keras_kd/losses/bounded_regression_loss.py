"""Regression distillation that stops where the student beats the teacher."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_number, check_same_shape
from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class BoundedRegressionLoss(DistillationLoss):
    """Squared error of the student, counted until it beats the teacher's by a margin.

    ```
    |R_s - y|^2   if |R_s - y|^2 + m > |R_t - y|^2,   else 0
    ```

    The teacher's error is an upper bound, not a target: real-valued outputs of a teacher can point
    the wrong way, so its values are never copied.

    Args:
        margin: m, in squared units of the output, at least 0. Defaults to 0.
        **kwargs: `weight`, `layers`, `name`, `reduction`, `dtype`.

    Call arguments: values of shape `(..., D)` from teacher and student and `labels` of that shape;
    one value each `(...)`.

    Raises:
        ValueError: If there are no labels, the margin is negative or the shapes differ.

    Example:

    >>> import numpy as np, keras_kd
    >>> loss = keras_kd.losses.BoundedRegressionLoss()
    >>> y, teacher, student = np.zeros((2, 1)), np.ones((2, 1)), np.array([[2.0], [0.5]])
    >>> float(loss(teacher, student, labels=y))
    2.0

    Reference: Chen, Choi, Yu, Han, Chandraker, "Learning Efficient Object Detection Models with
    Knowledge Distillation", NIPS 2017.
    """

    def __init__(self, margin: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.margin = check_number("margin", margin, least=0.0)

    def call(self, teacher_value: Tensor, student_value: Tensor, labels: Tensor) -> Tensor:
        """Returns the student's squared error over the last axis where the bound is not met."""
        labels = ops.convert_to_tensor(labels, dtype=self.dtype)
        if len(labels.shape) == len(student_value.shape) - 1 and student_value.shape[-1] == 1:
            labels = ops.expand_dims(labels, -1)
        check_same_shape(self.name, teacher_value, student_value)
        check_same_shape(f"{self.name} (labels)", labels, student_value)
        student_error = ops.sum(ops.square(student_value - labels), axis=-1)
        teacher_error = ops.sum(ops.square(teacher_value - labels), axis=-1)
        return ops.where(
            student_error + self.margin > teacher_error,
            student_error,
            ops.zeros_like(student_error),
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "margin": self.margin}
