"""Decoupled knowledge distillation."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_number
from keras_kd.losses.formula.class_indices import check_classes
from keras_kd.losses.formula.divergence import softened_divergence
from keras_kd.losses.formula.target_split import target_mask, target_split
from keras_kd.losses.temperature_loss import TemperatureLoss
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class DKDLoss(TemperatureLoss):
    """Hinton's loss in two parts with weights of their own: the target, and all other classes.

    ```
    T^2 * (alpha * TCKD + beta * NCKD)
    TCKD = KL((p_t[y], 1 - p_t[y]) || (p_s[y], 1 - p_s[y])),   p = softmax(z / T)
    NCKD = KL of the other classes, renormalised
    ```

    `KDLoss` is TCKD + (1 - p_t[y]) * NCKD: where the teacher is sure, it hears little of the other
    classes. For two classes NCKD is 0.

    The paper warms the loss up over 20 epochs:
    `callbacks.LossWeightScheduler("kd_loss", lambda epoch, weight: min(1.0, (epoch + 1) / 20))`.
    Its weight is for a weight 1 of the labels: `alpha=0.5` in the Distiller keeps their ratio.

    Args:
        temperature: T. None (the default) is the Distiller's, 4.0 when the loss is used alone, as
            published for CIFAR-100.
        alpha: Weight of TCKD. Defaults to 1.
        beta: Weight of NCKD. Defaults to 8; the authors have 2 to 8 on CIFAR-100 by pair of
            models, larger for surer teachers, and on ImageNet, at T 1, 0.5 and 2.
        **kwargs: As in `KDLoss`.

    Call arguments: logits of shape `(..., C)` from teacher and student; `labels`: class numbers
    `(...)` or `(..., 1)`, or rows `(..., C)` whose largest entry is the class; one value each
    `(...)`.

    Raises:
        ValueError: If an argument is out of its range, the shapes do not fit, or labels are no
            classes: before training where `fit` is given arrays, else at the first such batch.

    Example:

    >>> import numpy as np, keras_kd
    >>> loss = keras_kd.losses.DKDLoss(temperature=1.0, beta=2.0)
    >>> teacher, student = np.log([[0.5, 0.375, 0.125]]), np.log([[0.5, 0.25, 0.25]])
    >>> round(float(loss(teacher, student, labels=np.array([0]))), 4)
    0.2616

    Reference: Zhao et al., "Decoupled Knowledge Distillation", CVPR 2022.
    """

    def __init__(
        self,
        temperature: float | None = None,
        *,
        alpha: float = 1.0,
        beta: float = 8.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(temperature, **kwargs)
        self.alpha = check_number("alpha", alpha, least=0.0)
        self.beta = check_number("beta", beta, least=0.0)

    def call(
        self,
        teacher_value: Tensor,
        student_value: Tensor,
        labels: Tensor,
        temperature: Tensor | float | None = None,
    ) -> Tensor:
        """Returns the weighted sum of both divergences over the last axis."""
        t = self.own_temperature(temperature)
        target, known = target_mask(self.name, labels, student_value)
        theirs, ours = (
            ops.where(target, ops.full_like(z, -1e30), z) for z in (teacher_value, student_value)
        )
        nckd = softened_divergence(theirs, ours, t)
        teacher_logit, _ = target_split(teacher_value / t, target)
        # TCKD is what of the whole divergence the other classes do not take.
        tckd = softened_divergence(teacher_value, student_value, t)
        tckd = tckd - ops.sigmoid(-teacher_logit) * nckd
        values = t * t * (self.alpha * tckd + self.beta * nckd)
        return ops.where(known, values, ops.full_like(values, float("nan")))

    def check_arrays(self, labels: Any, index: Any, classes: int | None) -> None:
        """Raises a ValueError if labels are no classes."""
        check_classes(self.name, labels, classes, self.ignore_class)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "alpha": self.alpha, "beta": self.beta}
