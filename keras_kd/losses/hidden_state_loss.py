"""Distance of a transformer's hidden states."""

from __future__ import annotations

import keras
from keras import ops

from keras_kd.checks import check_same_shape
from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.losses.formula.per_sample_mean import per_sample_mean
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class HiddenStateLoss(DistillationLoss):
    """Mean squared error between the hidden states of two transformer layers.

    ```
    mean (W h_s - h_t)^2
    ```

    W is the Dense projector that the Distiller adds where the widths differ; it is trained with the
    student. The outputs of the embeddings are hidden states too. Padding is known by Keras' mask,
    which KerasHub's backbones do not carry: they hand a `padding_mask` to their attention alone, so
    that the hidden states of their padding count.

    Args:
        **kwargs: `weight` (1), `layers`, `name`, `reduction`, `dtype`.

    Call arguments: hidden states `(B, L, C)`, or `(B, C)` of one position; one value a sample.
    Masked positions do not count.

    Raises:
        ValueError: If the shapes differ, or the values are maps.

    Example:

    >>> import numpy as np, keras_kd
    >>> float(keras_kd.losses.HiddenStateLoss()(np.ones((2, 5, 4)), np.zeros((2, 5, 4))))
    1.0

    Reference: Jiao et al., "TinyBERT: Distilling BERT for Natural Language Understanding", EMNLP
    Findings 2020.
    """

    match = "shape"

    def call(
        self, teacher_value: Tensor, student_value: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Returns each sample's mean squared difference."""
        if len(student_value.shape) not in (2, 3):
            raise ValueError(
                f"{self.name} needs hidden states (B, L, C); FitNetLoss is for maps. "
                f"Received: teacher={tuple(teacher_value.shape)}, "
                f"student={tuple(student_value.shape)}"
            )
        check_same_shape(self.name, teacher_value, student_value)
        return per_sample_mean(ops.square(student_value - teacher_value), mask)
