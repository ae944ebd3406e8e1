"""Hints from FitNets."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_same_shape
from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.losses.formula.per_sample_mean import per_sample_mean
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class FitNetLoss(DistillationLoss):
    """Mean squared error between a student's feature map and a teacher's hint.

    ```
    mean (projector(F_s) - F_t)^2
    ```

    The Distiller adds a projector (the paper's regressor) where the shapes differ; the CIFAR-100
    comparisons have a convolution with BatchNormalization and ReLU at equal shapes too. The paper
    trains in two stages; with one Distiller that is `alpha=0` and `LossWeightScheduler("kd_loss",
    ...)` at 0 for the first epochs, while `callbacks.FeatureMatching` holds this loss for those
    epochs only.

    Args:
        weight: Defaults to 100, the weight in the CIFAR-100 comparisons.
        **kwargs: `layers`, `name`, `reduction`, `dtype`.

    Call arguments: values of one shape, `(B, H, W, C)`, `(B, L, C)` or `(B, C)`; one value a
    sample. Masked positions do not count.

    Raises:
        ValueError: If the shapes differ.

    Example:

    >>> import numpy as np, keras_kd
    >>> float(keras_kd.losses.FitNetLoss()(np.ones((2, 3, 3, 4)), np.zeros((2, 3, 3, 4))))
    1.0

    Reference: Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015.
    """

    match = "shape"

    def __init__(self, *, weight: float = 100.0, **kwargs: Any) -> None:
        super().__init__(weight=weight, **kwargs)

    def call(
        self, teacher_value: Tensor, student_value: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Returns each sample's mean squared difference."""
        check_same_shape(self.name, teacher_value, student_value)
        return per_sample_mean(ops.square(student_value - teacher_value), mask)
