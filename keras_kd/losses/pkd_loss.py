"""Patient knowledge distillation."""

from __future__ import annotations

import keras
from keras import ops

from keras_kd.checks import check_same_shape
from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.losses.formula.per_sample_mean import per_sample_mean
from keras_kd.losses.formula.unit_norm import unit_norm
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class PKDLoss(DistillationLoss):
    """Squared distance between L2-normalised hidden states.

    ```
    | h_s / |h_s|_2 - h_t / |h_t|_2 |_2^2
    ```

    The paper compares the hidden states of the first token, `[CLS]`, in several layers: tap a layer
    that gives that vector, `(B, C)`, and list the pairs in `layers`, which are summed. PKD-Skip
    pairs the student's layers 1, 2, 3, ... with the teacher's 2, 4, 6, ..., PKD-Last with its last
    ones, without the layers that feed the classifiers. Of sequences and maps the mean over
    positions is taken. A vector of zeros stays zero.

    Args:
        weight: Defaults to 1. The authors' beta, found by search among 10, 100, 500 and 1000,
            multiplies a mean over hidden size and layers, where this sums both: `weight = beta /
            (D * pairs)`, 0.0026 to 0.26 for BERT's 768 and five pairs.
        **kwargs: `layers`, `name`, `reduction`, `dtype`.

    Call arguments: values of one shape, `(B, C)`, `(B, L, C)` or `(B, H, W, C)`; one value a
    sample, from 0 to 4. Masked positions do not count. The Distiller adds a projector where widths
    differ, which the paper does not need.

    Raises:
        ValueError: If the shapes differ.

    Example:

    >>> import numpy as np, keras_kd
    >>> loss = keras_kd.losses.PKDLoss()
    >>> float(loss(np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]])))
    2.0

    Reference: Sun, Cheng, Gan, Liu, "Patient Knowledge Distillation for BERT Model Compression",
    EMNLP 2019.
    """

    match = "shape"

    def call(
        self, teacher_value: Tensor, student_value: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Returns each sample's squared distance, the mean over real positions."""
        check_same_shape(self.name, teacher_value, student_value)
        if len(student_value.shape) < 2:
            raise ValueError(
                f"{self.name} needs hidden states (B, C), (B, L, C) or (B, H, W, C). "
                f"Received: student={tuple(student_value.shape)}"
            )
        difference = unit_norm(student_value, -1) - unit_norm(teacher_value, -1)
        return per_sample_mean(ops.sum(ops.square(difference), axis=-1), mask)
