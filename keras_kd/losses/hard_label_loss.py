"""Cross-entropy against the teacher's decision."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_fraction
from keras_kd.losses.response_loss import ResponseLoss
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class HardLabelLoss(ResponseLoss):
    """Cross-entropy of the student against the class that the teacher picks.

    ```
    CE((1 - s) onehot(argmax z_t) + s / C, softmax(z_s))
    ```

    Args:
        label_smoothing: s, from 0 (the default) to 1.
        **kwargs: As in `KDLoss`, without a temperature.

    Call arguments: logits of shape `(..., C)` from teacher and student, or top-k labels from the
    teacher, for the distribution that spreads the remaining mass evenly over the other classes
    (`ResponseLoss`); one value each `(...)`.

    Example:

    >>> import numpy as np, keras_kd
    >>> loss = keras_kd.losses.HardLabelLoss()
    >>> round(float(loss(np.array([[0.0, 9.0]]), np.array([[0.0, np.log(3.0)]]))), 4)
    0.2877

    Reference: Touvron et al., "Training data-efficient image transformers & distillation through
    attention" (DeiT), ICML 2021.
    """

    reads_top_k = True

    def __init__(self, label_smoothing: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.label_smoothing = check_fraction(label_smoothing, "label_smoothing")

    def call(self, teacher_value: Tensor, student_value: Tensor) -> Tensor:
        """Returns the cross-entropy over the last axis."""
        classes = student_value.shape[-1]
        targets = _chosen(teacher_value, classes, self.dtype)
        targets = (1.0 - self.label_smoothing) * targets + self.label_smoothing / classes
        return -ops.sum(targets * ops.log_softmax(student_value, axis=-1), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


def _chosen(teacher_value, classes, dtype):
    """One-hot rows of what the teacher picks; NaN where top-k labels name a class there is not."""
    if not isinstance(teacher_value, dict):
        return ops.one_hot(ops.argmax(teacher_value, axis=-1), classes, dtype=dtype)
    largest = teacher_value["log_probabilities"][..., :1]
    rows = ops.one_hot(teacher_value["indices"][..., 0], classes, dtype=dtype)
    return ops.where(ops.isnan(largest), largest, rows)
