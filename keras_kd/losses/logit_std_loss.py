"""Distillation of standardised logits."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.losses.kd_loss import KDLoss
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class LogitStdLoss(KDLoss):
    """Hinton's loss on logits that are brought to mean 0 and standard deviation 1.

    ```
    T^2 * KL(softmax(Z(z_t) / T) || softmax(Z(z_s) / T)),   Z(z) = (z - mean z) / (std z + 1e-7)
    ```

    The student need not copy how large the teacher's logits are, only how they stand to each other:
    neither a shift nor a positive factor of a sample's logits changes the value. The standard
    deviation is over all C classes; the authors' code divides by C - 1, which makes the gradient
    1.01 times as large at 100 classes, 1.1 times at 10 and 1.5 times at 3.

    A class that is masked by a logit of minus infinity has no value here: an error where the logits
    are known before a step runs, infinity or NaN in it.

    Args:
        temperature: T, 2.0 by default as published, and the loss' own; None is the Distiller's.
        weight: Defaults to 9. Published are 0.1 times the labels' loss and 9 times this on
            CIFAR-100, `weight=10` at alpha 0.1, and 1 and 9 on ImageNet, `weight=9` at alpha 0.5.
        **kwargs: As in `KDLoss`.

    Call arguments: logits of shape `(..., C)` from teacher and student; one value each `(...)`.

    Raises:
        ValueError: If the temperature is not above 0, or the shapes differ.

    Example:

    >>> import numpy as np, keras_kd
    >>> loss = keras_kd.losses.LogitStdLoss()
    >>> logits = np.array([[1.0, 2.0, 4.0]])
    >>> abs(float(loss(logits, 10.0 * logits - 3.0))) < 1e-6
    True

    Reference: Sun et al., "Logit Standardization in Knowledge Distillation", CVPR 2024.
    """

    takes_masked_classes = False

    def __init__(
        self, temperature: float | None = 2.0, *, weight: float = 9.0, **kwargs: Any
    ) -> None:
        super().__init__(temperature, weight=weight, **kwargs)

    def call(
        self,
        teacher_value: Tensor,
        student_value: Tensor,
        temperature: Tensor | float | None = None,
    ) -> Tensor:
        """Returns the softened KL divergence of the standardised logits."""
        return super().call(_standardise(teacher_value), _standardise(student_value), temperature)


def _standardise(logits):
    # Less one of the logits first: equal ones then differ by exactly 0 from their mean.
    logits = logits - ops.stop_gradient(logits[..., :1])
    centred = logits - ops.mean(logits, axis=-1, keepdims=True)
    variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
    # Equal logits, as of a head that starts at zero, stay 0 with a gradient of usual size.
    one = ops.ones_like(variance)
    deviation = ops.sqrt(ops.where(variance > 0.0, variance, one))
    return centred / ops.where(variance > 0.0, deviation + 1e-7, one)
