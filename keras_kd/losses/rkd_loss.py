"""Relational knowledge distillation."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_number
from keras_kd.losses.batch_loss import BatchLoss
from keras_kd.losses.formula.sample_vectors import check_vectors, scaled_to_one
from keras_kd.typing import Tensor

# Of the batch's largest distance; nearer points count as one. Its square is far from underflow.
_COINCIDENT = 1e-12


@keras.saving.register_keras_serializable(package="keras_kd")
class RKDLoss(BatchLoss):
    """Smooth L1 distance of the distances and of the angles between samples.

    ```
    distance_weight * mean_ij smooth_l1(d_s_ij - d_t_ij)
    + angle_weight * mean_ijk smooth_l1(cos_s_ijk - cos_t_ijk)

    d_ij = |f_i - f_j| / (mean of the distances above 0)
    cos_ijk = <e_ij, e_ik>,   e_ij = (f_j - f_i) / |f_j - f_i|
    ```

    Neither term changes where a model's vectors are rotated, moved or scaled, so widths may differ.
    The means run over all B^2 pairs and B^3 triplets of a batch, as in the authors' code, which the
    weights belong to; the paper sums over distinct samples. A sample's share holds the distances
    from it and the angles at it. Points that coincide have distance 0 and no direction.

    Args:
        distance_weight: Weight of the distances, at least 0. Defaults to 25.
        angle_weight: Weight of the angles, at least 0. Defaults to 50.
        **kwargs: `weight` (1), `gather` (compare the samples of all replicas: `BatchLoss`),
            `layers`, `name`, `reduction`, `dtype`.

    Call arguments: vectors `(B, C)`; one value a sample. The angles take memory for B^2 C numbers.

    Raises:
        ValueError: If a weight is out of its range, or the values are no vectors.

    Example:

    >>> import numpy as np, keras_kd
    >>> x = np.random.default_rng(0).normal(size=(4, 3))
    >>> float(keras_kd.losses.RKDLoss()(x, 2.0 * x + 1.0)) < 1e-6
    True

    Reference: Park, Kim, Lu, Cho, "Relational Knowledge Distillation", CVPR 2019.
    """

    def __init__(
        self,
        *,
        distance_weight: float = 25.0,
        angle_weight: float = 50.0,
        weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight=weight, **kwargs)
        self.distance_weight = check_number("distance_weight", distance_weight, least=0.0)
        self.angle_weight = check_number("angle_weight", angle_weight, least=0.0)

    def call(self, teacher_value: Tensor, student_value: Tensor) -> Tensor:
        """Returns each sample's share of the two means."""
        check_vectors(self.name, teacher_value, student_value)
        distances_t, angles_t = _relations(teacher_value)
        distances_s, angles_s = _relations(student_value)
        distance = ops.mean(_smooth_l1(distances_s - distances_t), axis=1)
        angle = ops.mean(_smooth_l1(angles_s - angles_t), axis=(1, 2))
        return self.distance_weight * distance + self.angle_weight * angle

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "distance_weight": self.distance_weight,
            "angle_weight": self.angle_weight,
        }


def _relations(vectors):
    """Returns distances over their mean `(B, B)` and cosines of angles `(B, B, B)`."""
    # Differences, not products of the vectors: those cancel far from the origin.
    edges = scaled_to_one(ops.expand_dims(vectors, 0) - ops.expand_dims(vectors, 1))
    squares = ops.sum(ops.square(edges), axis=-1, keepdims=True)
    apart = squares > _COINCIDENT**2
    lengths = ops.sqrt(ops.where(apart, squares, ops.ones_like(squares)))
    apart = ops.cast(apart, vectors.dtype)
    distances = ops.squeeze(lengths * apart, -1)
    mean = ops.divide_no_nan(ops.sum(distances), ops.sum(apart))
    directions = edges * apart / lengths
    angles = ops.matmul(directions, ops.transpose(directions, (0, 2, 1)))
    return ops.divide_no_nan(distances, mean), angles


def _smooth_l1(difference):
    size = ops.abs(difference)
    return ops.where(size < 1.0, 0.5 * ops.square(difference), size - 0.5)
