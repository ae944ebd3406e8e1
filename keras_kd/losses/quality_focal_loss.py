"""Focal distillation of yes-or-no scores."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_number
from keras_kd.losses.response_loss import ResponseLoss
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class QualityFocalLoss(ResponseLoss):
    """Cross-entropy of independent yes-or-no scores, focused on where the two models differ.

    ```
    sum_c |p_t - p_s|^gamma * -(p_t log p_s + (1 - p_t) log(1 - p_s)),   p = sigmoid(z)
    ```

    For dense detectors, in which nearly every place is background that both models know: such
    places weigh next to nothing, whatever their number. With a teacher's probabilities as soft
    targets it is the classification loss of CrossKD and, at gamma 1, that of Yang et al.

    Args:
        gamma: How sharply it focuses, at least 1. Defaults to 1.
        **kwargs: `weight` (1; CrossKD and BCKD divide the sum by the number of positives, not of
            places: theirs is `places / positives` here), `teacher_from_logits`,
            `student_from_logits`, `layers`, `name`, `reduction`, `dtype`, `ignore_class`.

    Call arguments: logits of shape `(..., C)` from teacher and student; one value each `(...)`.

    Raises:
        ValueError: If gamma is below 1, where the gradient is infinite at equal scores, or the
            shapes differ.

    Example:

    >>> import numpy as np, keras_kd
    >>> loss = keras_kd.losses.QualityFocalLoss()
    >>> round(float(loss(np.array([[np.log(3.0)]]), np.array([[0.0]]))), 4)
    0.1733

    Reference: Li et al., "Generalized Focal Loss", NeurIPS 2020 (the formula, for soft labels);
    Wang et al., "CrossKD", CVPR 2024; Yang et al., "Bridging Cross-task Protocol Inconsistency for
    Distillation in Dense Object Detection", ICCV 2023.
    """

    activation = "sigmoid"

    def __init__(self, gamma: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gamma = check_number("gamma", gamma, least=1.0)

    def call(self, teacher_value: Tensor, student_value: Tensor) -> Tensor:
        """Returns the sum over the last axis of the weighted cross-entropies."""
        target = ops.sigmoid(teacher_value)
        yes = target * ops.log_sigmoid(student_value)
        no = (1.0 - target) * ops.log_sigmoid(-student_value)
        gap = ops.sigmoid(student_value) - target
        # Unlike abs, whose slope at 0 is 1 on JAX, without a slope where both agree.
        focus = (gap * ops.stop_gradient(ops.sign(gap))) ** self.gamma
        return -ops.sum(focus * (yes + no), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "gamma": self.gamma}
