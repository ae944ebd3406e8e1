"""Alignment of directions."""

from __future__ import annotations

import keras
from keras import ops

from keras_kd.checks import check_same_shape
from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.losses.formula.per_sample_mean import per_sample_mean
from keras_kd.losses.formula.unit_norm import unit_norm
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class CosineFeatureLoss(DistillationLoss):
    """One minus the cosine between student and teacher features.

    ```
    1 - cos(projector(f_s), f_t)
    ```

    The cosine is taken over channels and averaged over positions, where there are any. A vector of
    zeros has cosine 0 with every other.

    Args:
        **kwargs: `weight` (1), `layers`, `name`, `reduction`, `dtype`.

    Call arguments: values of one shape, `(B, C)`, `(B, L, C)` or `(B, H, W, C)`; one value a
    sample. Masked positions do not count.

    Raises:
        ValueError: If the shapes differ.

    Example:

    >>> import numpy as np, keras_kd
    >>> loss = keras_kd.losses.CosineFeatureLoss()
    >>> float(loss(np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]])))
    1.0

    Reference: Sanh, Debut, Chaumond, Wolf, "DistilBERT, a distilled version of BERT", NeurIPS 2019
    EMC2 Workshop.
    """

    match = "shape"

    def call(
        self, teacher_value: Tensor, student_value: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Returns each sample's mean of one minus the cosine."""
        check_same_shape(self.name, teacher_value, student_value)
        cosine = ops.sum(unit_norm(teacher_value, -1) * unit_norm(student_value, -1), axis=-1)
        return per_sample_mean(1.0 - cosine, mask)
