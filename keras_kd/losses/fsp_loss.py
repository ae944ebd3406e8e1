"""The flow of solution procedure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import keras
from keras import ops

from keras_kd.checks import check_same_shape
from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.losses.formula.positions import check_positions, flatten_positions, real_positions
from keras_kd.losses.formula.resample import max_to
from keras_kd.typing import Tensor

_PADDING = -1e30  # what max pooling never picks


@keras.saving.register_keras_serializable(package="keras_kd")
class FSPLoss(DistillationLoss):
    """Squared difference of the flow between one layer and the next.

    ```
    sum over consecutive layers a, b of |G_s - G_t|_F^2,   G = 1/N F_a^T F_b, N positions
    ```

    G holds the inner product of each channel of one layer with each channel of the next in the
    order of `layers`; where their resolutions differ the larger is max pooled. Squares are summed,
    as in the paper. Published code often takes their mean over the C x D entries of G: its weight,
    such as the 50 of the CIFAR-100 comparisons, is `50 / (C * D)` here. The paper wants both
    models' widths to agree; where they do not, the Distiller adds projectors.

    The first stage is this loss alone, the second plain training; how many epochs each takes is
    yours to choose:

    ```python
    distiller = keras_kd.Distiller(student, teacher, alpha=0.0)
    distiller.fit(data, epochs=200, callbacks=[
        FeatureMatching(FSPLoss(layers={"stage1": "stage1", "stage2": "stage2"}), stop_epoch=50),
        LossWeightScheduler("kd_loss", lambda epoch, weight: 0.0 if epoch < 50 else 1.0),
        AlphaScheduler(lambda epoch, alpha: 0.0 if epoch < 50 else 0.1),
    ])
    ```

    Args:
        **kwargs: `weight` (1), `layers` (at least two pairs, from shallow to deep), `name`,
            `reduction`, `dtype`.

    Call arguments: lists of maps `(B, H, W, C)` or of sequences `(B, L, C)`, the teacher's of the
    shapes of the student's; one value a sample. Masked positions do not count.

    Raises:
        ValueError: If there is one layer only, or the shapes do not fit.

    Example:

    >>> import numpy as np, keras_kd
    >>> one, two = np.ones((1, 4, 4, 2)), np.ones((1, 2, 2, 3))
    >>> float(keras_kd.losses.FSPLoss()([one, two], [one, 2.0 * two]))  # 6 entries, 1 and 2
    6.0

    Reference: Yim, Joo, Bae, Kim, "A Gift from Knowledge Distillation: Fast Optimization, Network
    Minimization and Transfer Learning", CVPR 2017.
    """

    match = "shape"
    joint = True

    def call(
        self,
        teacher_value: Sequence[Tensor],
        student_value: Sequence[Tensor],
        mask: Sequence[Tensor | None] | None = None,
    ) -> Tensor:
        """Returns each sample's sum over consecutive layers."""
        if len(student_value) < 2:
            raise ValueError(
                f"{self.name} compares the flow from layer to layer: list at least two. "
                f"Received: {len(student_value)} pair of layers"
            )
        for teacher, student in zip(teacher_value, student_value, strict=True):
            check_positions(self.name, student)
            check_same_shape(self.name, teacher, student)
        masks = mask if isinstance(mask, list | tuple) else [mask] * len(student_value)
        keeps = [real_positions(m, s) for m, s in zip(masks, student_value, strict=True)]
        total = 0.0
        for a, b in itertools.pairwise(range(len(keeps))):
            teacher, student = (
                self._flow(values[a], values[b], keeps[a], keeps[b])
                for values in (teacher_value, student_value)
            )
            total = total + ops.sum(ops.square(student - teacher), axis=(1, 2))
        return total

    def _flow(self, one, other, keep_one, keep_other):
        """Returns G, `(B, C, D)`, of real positions."""
        sizes = [tuple(value.shape)[1:-1] for value in (one, other)]
        if len(sizes[0]) != len(sizes[1]):
            raise ValueError(
                f"{self.name}: layers of one rank were expected. "
                f"Received: {tuple(one.shape)}, {tuple(other.shape)}"
            )
        smallest = [a if a == b else _smaller(a, b) for a, b in zip(*sizes, strict=True)]
        one, keep_one = _pooled(one, keep_one, smallest)
        other, keep_other = _pooled(other, keep_other, smallest)
        keep = flatten_positions(keep_one * keep_other)
        count = ops.maximum(ops.sum(keep, axis=1, keepdims=True), 1.0)
        one = ops.where(keep > 0.0, flatten_positions(one), 0.0)
        other = ops.where(keep > 0.0, flatten_positions(other), 0.0)
        return ops.matmul(ops.swapaxes(one, 1, 2), other / count)


def _smaller(a, b):
    return None if a is None or b is None else min(a, b)


def _pooled(value, keep, sizes):
    """Returns a value at a resolution, and which of its positions are real."""
    if tuple(sizes) == tuple(value.shape)[1:-1]:
        return value, keep
    return max_to(ops.where(keep > 0.0, value, _PADDING), sizes), max_to(keep, sizes)
