"""Distillation of real-valued outputs."""

from __future__ import annotations

import keras
from keras import ops

from keras_kd.checks import check_same_shape
from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class RegressionLoss(DistillationLoss):
    """Squared distance between the student's and the teacher's real-valued outputs.

    ```
    |R_s - R_t|^2
    ```

    Args:
        **kwargs: `weight`, `layers`, `name`, `reduction`, `dtype`.

    Call arguments: values of shape `(..., D)` from teacher and student; one value each `(...)`.

    Example:

    >>> import numpy as np, keras_kd
    >>> float(keras_kd.losses.RegressionLoss()(np.array([[1.0, 2.0]]), np.array([[0.0, 0.0]])))
    5.0

    Reference: the unbounded form in Chen, Choi, Yu, Han, Chandraker, "Learning Efficient Object
    Detection Models with Knowledge Distillation", NIPS 2017.
    """

    def call(self, teacher_value: Tensor, student_value: Tensor) -> Tensor:
        """Returns the squared distance over the last axis."""
        check_same_shape(self.name, teacher_value, student_value)
        return ops.sum(ops.square(student_value - teacher_value), axis=-1)
