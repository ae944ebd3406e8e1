"""Normalised knowledge distillation."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_number
from keras_kd.losses.formula.class_indices import check_classes
from keras_kd.losses.formula.target_split import target_mask, target_split
from keras_kd.losses.temperature_loss import TemperatureLoss
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class NKDLoss(TemperatureLoss):
    """Cross-entropy at the target, weighted by the teacher, and of the other classes renormalised.

    ```
    -p_t[y] log p_s[y] - gamma * T^2 * sum_{c != y} q_t log q_s
    p = softmax(z),   q = softmax of z / T over the classes other than y
    ```

    As in the paper the temperature softens the other classes only. The value is not 0 at equality.

    Args:
        temperature: T, 1.0 by default as published for ImageNet, and the loss' own; None is the
            Distiller's. The authors' CIFAR-100 runs have 3.
        gamma: Weight of the other classes. Defaults to 1.5; the authors have 3.5 on CIFAR-100 and 1
            for vision transformers on ImageNet.
        **kwargs: As in `KDLoss`. The published weight of 1 is for a weight 1 of the labels:
            `alpha=0.5` in the Distiller keeps their ratio.

    Call arguments: logits of shape `(..., C)` from teacher and student; `labels`: class numbers
    `(...)` or `(..., 1)`, or rows `(..., C)` whose largest entry is the class; one value each
    `(...)`.

    Raises:
        ValueError: If an argument is out of its range, the shapes do not fit, or labels are no
            classes: before training where `fit` is given arrays, else at the first such batch.

    Example:

    >>> import numpy as np, keras_kd
    >>> loss = keras_kd.losses.NKDLoss(gamma=1.0)
    >>> logits = np.log([[0.5, 0.25, 0.25]])
    >>> round(float(loss(logits, logits, labels=np.array([0]))), 4)  # 0.5 ln 2 + ln 2
    1.0397

    Reference: Yang et al., "From Knowledge Distillation to Self-Knowledge Distillation: A Unified
    Approach with Normalized Loss and Customized Soft Labels", ICCV 2023.
    """

    def __init__(
        self, temperature: float | None = 1.0, *, gamma: float = 1.5, **kwargs: Any
    ) -> None:
        super().__init__(temperature, **kwargs)
        self.gamma = check_number("gamma", gamma, least=0.0)

    def call(
        self,
        teacher_value: Tensor,
        student_value: Tensor,
        labels: Tensor,
        temperature: Tensor | float | None = None,
    ) -> Tensor:
        """Returns both cross-entropies, over the last axis."""
        t = self.own_temperature(temperature)
        target, known = target_mask(self.name, labels, student_value)
        teacher_logit, _ = target_split(teacher_value, target)
        student_logit, _ = target_split(student_value, target)
        of_target = -ops.sigmoid(teacher_logit) * ops.log_sigmoid(student_logit)
        _, teacher_others = target_split(teacher_value / t, target)
        _, student_others = target_split(student_value / t, target)
        # The target's own entry is 0 in the student's logarithms.
        of_others = -ops.sum(ops.exp(teacher_others) * student_others, axis=-1)
        values = of_target + self.gamma * t * t * of_others
        return ops.where(known, values, ops.full_like(values, float("nan")))

    def check_arrays(self, labels: Any, index: Any, classes: int | None) -> None:
        """Raises a ValueError if labels are no classes."""
        check_classes(self.name, labels, classes, self.ignore_class)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "gamma": self.gamma}
