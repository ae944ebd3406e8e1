"""Similarity-preserving distillation."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.losses.batch_loss import BatchLoss
from keras_kd.losses.formula.sample_vectors import scaled_to_one
from keras_kd.losses.formula.unit_norm import unit_norm
from keras_kd.losses.formula.zero_padding import zero_padding
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class SPLoss(BatchLoss):
    """Squared distance of the similarities between the samples of a batch.

    ```
    1 / B^2 * |G_s - G_t|_F^2,   G = rows of Q Q^T over their Euclidean norm,   Q = flatten(F)
    ```

    Shapes may differ: only the two `(B, B)` matrices are compared. A sample's share is its row.

    Args:
        weight: Defaults to 3000, the weight in the CIFAR-100 comparisons.
        **kwargs: `gather` (compare the samples of all replicas: `BatchLoss`), `layers`, `name`,
            `reduction`, `dtype`.

    Call arguments: values of any shape, batch first; one value a sample. Masked positions do not
    count.

    Raises:
        ValueError: If a mask does not fit a value's first axes.

    Example:

    >>> import numpy as np, keras_kd
    >>> loss = keras_kd.losses.SPLoss()
    >>> float(loss(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[3.0], [0.0]])))
    0.25

    Reference: Tung, Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019.
    """

    def __init__(self, *, weight: float = 3000.0, **kwargs: Any) -> None:
        super().__init__(weight=weight, **kwargs)

    def call(
        self, teacher_value: Tensor, student_value: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Returns each sample's row of the squared difference, over the batch size."""
        difference = _similarity(student_value, mask) - _similarity(teacher_value, mask)
        return ops.mean(ops.square(difference), axis=1)


def _similarity(value, mask):
    value = scaled_to_one(zero_padding(value, mask))
    flat = ops.reshape(value, (ops.shape(value)[0], -1))
    return unit_norm(ops.matmul(flat, ops.transpose(flat)), -1)
