"""Distance of gradients to the inputs."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_same_shape
from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.losses.formula.unit_norm import unit_norm
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class GradientLoss(DistillationLoss):
    """Squared distance of how both models' scores change with the inputs: Jacobian matching.

    ```
    |g_s / |g_s|_2 - g_t / |g_t|_2|_2^2,   g = d z[c] / dx,   c = argmax z_t
    ```

    In a Distiller, `feature_losses=[GradientLoss()]` without `layers`: it differentiates both
    models' score of the teacher's top class (the output itself of a model that has one; the
    log-probability if one of the two ends in softmax) to the inputs, in inference mode. That costs
    one more forward and backward pass of each model in every step, and the student is then
    differentiated twice. The inputs must be floating-point numbers, and the student must be smooth
    enough: with ReLU the gradients are steps, which still train the weights behind them.

    Args:
        normalize: True (the default) compares directions, as Srinivas & Fleuret. False compares
            the gradients themselves, as Sobolev training.
        **kwargs: `weight` (1 by default), `name`, `reduction`, `dtype`.

    Call arguments, used alone: gradients `(B, ...)` of teacher and student, of one shape; one value
    a sample.

    Raises:
        ValueError: If the shapes differ; in a Distiller, for `layers`, inputs of integers, or
            models of several outputs or a different number of classes.

    Example:

    >>> import numpy as np, keras_kd
    >>> loss = keras_kd.losses.GradientLoss()
    >>> float(loss(np.array([[3.0, 0.0]]), np.array([[0.0, 0.5]])))
    2.0

    Reference: Srinivas, Fleuret, "Knowledge Transfer with Jacobian Matching", ICML 2018; Czarnecki
    et al., "Sobolev Training for Neural Networks", NIPS 2017.
    """

    side = "input_gradient"

    def __init__(self, *, normalize: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(normalize, bool):
            raise TypeError(f"`normalize` must be True or False. Received: normalize={normalize!r}")
        self.normalize = normalize

    def call(self, teacher_value: Tensor, student_value: Tensor) -> Tensor:
        """Returns each sample's squared distance of gradients."""
        check_same_shape(self.name, teacher_value, student_value)
        axes = tuple(range(1, len(student_value.shape)))
        if not axes:
            raise ValueError(
                f"{self.name} compares gradients (B, ...) of each sample. "
                f"Received: student={tuple(student_value.shape)}"
            )
        if self.normalize:
            teacher_value = unit_norm(teacher_value, axes)
            student_value = unit_norm(student_value, axes)
        return ops.sum(ops.square(student_value - teacher_value), axis=axes)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "normalize": self.normalize}
