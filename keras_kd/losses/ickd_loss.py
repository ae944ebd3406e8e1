"""Inter-channel correlation."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.losses.formula.sample_vectors import scaled_to_one
from keras_kd.losses.formula.unit_norm import unit_norm
from keras_kd.losses.formula.zero_padding import zero_padding
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class ICKDLoss(DistillationLoss):
    """Squared distance of the correlations between channels, sample by sample.

    ```
    1 / C * |G_s - G_t|_F^2,   G = rows of F^T F over their Euclidean norm,   F of shape (HW, C)
    ```

    The Distiller's projector brings the student's map to the teacher's width and resolution. The
    norm of the rows and the 1 / C are those of the authors' code, which the weight belongs to.

    Args:
        weight: Defaults to 2.5, as published for CIFAR-100.
        **kwargs: `layers`, `name`, `reduction`, `dtype`.

    Call arguments: maps `(B, H, W, C)` or sequences `(B, L, C)` of one width; one value a sample.
    Masked positions do not count.

    Raises:
        ValueError: If the values have no positions or differ in width.

    Example:

    >>> import numpy as np, keras_kd
    >>> x = np.random.default_rng(0).normal(size=(2, 4, 4, 8))
    >>> float(keras_kd.losses.ICKDLoss()(x, 3.0 * x)) < 1e-9
    True

    Reference: Liu et al., "Exploring Inter-Channel Correlation for Diversity-preserved Knowledge
    Distillation", ICCV 2021.
    """

    match = "shape"

    def __init__(self, *, weight: float = 2.5, **kwargs: Any) -> None:
        super().__init__(weight=weight, **kwargs)

    def call(
        self, teacher_value: Tensor, student_value: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Returns each sample's mean squared distance of a channel's correlations."""
        shapes = [tuple(value.shape) for value in (teacher_value, student_value)]
        if min(len(shape) for shape in shapes) < 3 or shapes[0][-1] != shapes[1][-1]:
            raise ValueError(
                f"{self.name} needs maps (B, H, W, C) or sequences (B, L, C) of one width. "
                f"Received: teacher={shapes[0]}, student={shapes[1]}"
            )
        difference = _correlation(student_value, mask) - _correlation(teacher_value, mask)
        return ops.mean(ops.sum(ops.square(difference), axis=-1), axis=-1)


def _correlation(value, mask):
    axes = tuple(range(1, len(value.shape)))
    value = scaled_to_one(zero_padding(value, mask), axes)
    flat = ops.reshape(value, (ops.shape(value)[0], -1, value.shape[-1]))
    return unit_norm(ops.matmul(ops.transpose(flat, (0, 2, 1)), flat), -1)
