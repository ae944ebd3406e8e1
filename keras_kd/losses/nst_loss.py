"""Neuron selectivity transfer."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.losses.formula.positions import (
    check_positions,
    check_same_positions,
    flatten_positions,
    real_positions,
)
from keras_kd.losses.formula.unit_norm import unit_norm
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class NSTLoss(DistillationLoss):
    """Squared maximum mean discrepancy between the channels of two feature maps.

    ```
    mean_cd k(t_c, t_d) + mean_cd k(s_c, s_d) - 2 mean_cd k(t_c, s_d),   k(x, y) = (x . y)^2
    ```

    A channel is a sample of what a network selects: its activations over the positions, divided by
    their L2 norm. Widths may differ, and the order of channels does not matter. Where resolutions
    differ the Distiller resizes the student's map. The mean of k is read off Gram matrices: of
    positions where these are fewer than the channels, else of channels.

    Args:
        weight: Defaults to 50, the weight in the CIFAR-100 comparisons (the paper writes the factor
            as lambda / 2).
        **kwargs: `layers`, `name`, `reduction`, `dtype`.

    Call arguments: maps `(B, H, W, C)` or sequences `(B, L, C)` of equal positions; one value a
    sample, from 0 to 1. Masked positions do not count.

    Raises:
        ValueError: If the values have no positions or differ in them.

    Example:

    >>> import numpy as np, keras_kd
    >>> teacher = np.array([[[1.0, 0.0], [0.0, 1.0]]])  # two positions, two channels
    >>> round(float(keras_kd.losses.NSTLoss()(teacher, teacher[:, :, :1])), 4)
    0.5

    Reference: Huang, Wang, "Like What You Like: Knowledge Distill via Neuron Selectivity Transfer",
    arXiv 2017.
    """

    match = "resolution"

    def __init__(self, *, weight: float = 50.0, **kwargs: Any) -> None:
        super().__init__(weight=weight, **kwargs)

    def call(
        self, teacher_value: Tensor, student_value: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Returns each sample's squared discrepancy."""
        check_positions(self.name, student_value)
        check_same_positions(self.name, teacher_value, student_value)
        keep = flatten_positions(real_positions(mask, student_value))
        # Divided by the root of their number, so that sums over channels are means.
        teacher, student = (
            unit_norm(flatten_positions(value) * keep, 1) * value.shape[-1] ** -0.5
            for value in (teacher_value, student_value)
        )
        positions = student.shape[1]
        if positions is not None and positions <= max(teacher.shape[-1], student.shape[-1]):
            difference = _gram_of_positions(teacher) - _gram_of_positions(student)
            return ops.sum(ops.square(difference), axis=(1, 2))
        return (
            _mean_of_squares(teacher, teacher)
            + _mean_of_squares(student, student)
            - 2.0 * _mean_of_squares(teacher, student)
        )


def _gram_of_positions(channels):
    return ops.matmul(channels, ops.swapaxes(channels, 1, 2))


def _mean_of_squares(one, other):
    return ops.sum(ops.square(ops.matmul(ops.swapaxes(one, 1, 2), other)), axis=(1, 2))
