"""Probabilistic knowledge transfer."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.losses.batch_loss import BatchLoss
from keras_kd.losses.formula.sample_vectors import check_vectors
from keras_kd.losses.formula.unit_norm import unit_norm
from keras_kd.typing import Tensor

_EPSILON = 1e-7


@keras.saving.register_keras_serializable(package="keras_kd")
class PKTLoss(BatchLoss):
    """Kullback-Leibler divergence of who is likely to be whose neighbour.

    ```
    1 / B^2 * sum_ij p_ij log((p_ij + 1e-7) / (q_ij + 1e-7))
    p_ij = k(t_i, t_j) / sum_j k(t_i, t_j),   q likewise of s,   k(x, y) = (cos(x, y) + 1) / 2
    ```

    Widths may differ. A sample's share is its row of the sum. The mean over pairs, of which a
    sample and itself are one, and the 1e-7 are those of the authors' code, which the weight belongs
    to; the paper sums over pairs of distinct samples.

    Args:
        weight: Defaults to 30000, the weight in the CIFAR-100 comparisons.
        **kwargs: `gather` (compare the samples of all replicas: `BatchLoss`), `layers`, `name`,
            `reduction`, `dtype`.

    Call arguments: vectors `(B, C)`; one value a sample.

    Raises:
        ValueError: If the values are no vectors.

    Example:

    >>> import numpy as np, keras_kd
    >>> x = np.random.default_rng(0).normal(size=(4, 3))
    >>> abs(float(keras_kd.losses.PKTLoss()(x, 2.0 * x))) < 1e-7
    True

    Reference: Passalis, Tefas, "Learning Deep Representations with Probabilistic Knowledge
    Transfer", ECCV 2018.
    """

    def __init__(self, *, weight: float = 30_000.0, **kwargs: Any) -> None:
        super().__init__(weight=weight, **kwargs)

    def call(self, teacher_value: Tensor, student_value: Tensor) -> Tensor:
        """Returns each sample's row of the divergence, over the batch size."""
        check_vectors(self.name, teacher_value, student_value)
        teacher, student = _neighbours(teacher_value), _neighbours(student_value)
        log_ratio = ops.log(teacher + _EPSILON) - ops.log(student + _EPSILON)
        return ops.mean(teacher * log_ratio, axis=1)


def _neighbours(vectors):
    vectors = unit_norm(vectors, -1)
    cosine = ops.matmul(vectors, ops.transpose(vectors))
    # A cosine of -1 may be rounded to less.
    kernel = ops.maximum((cosine + 1.0) / 2.0, 0.0)
    return kernel / ops.sum(kernel, axis=1, keepdims=True)
