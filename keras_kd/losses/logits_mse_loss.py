"""Mean squared error of logits."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.losses.formula.top_k import refuse_top_k
from keras_kd.losses.response_loss import ResponseLoss
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class LogitsMSELoss(ResponseLoss):
    """Mean squared error between the logits themselves.

    ```
    mean_c (z_t - z_s)^2
    ```

    The paper has half the sum over the classes: its weight of 1 is `C / 2` here.

    Logits must be the models' own: probabilities fix them only up to a shift, so a model that ends
    in a plain softmax op, whose logits Keras does not keep, is refused, and so are top-k labels.

    A class that is masked by a logit of minus infinity has no value here: an error where the logits
    are known before a step runs, infinity or NaN in it.

    Args:
        **kwargs: As in `KDLoss`, without a temperature.

    Call arguments: logits of shape `(..., C)` from teacher and student; one value each `(...)`.

    Raises:
        ValueError: If probabilities come without their logits, or the shapes differ.

    Example:

    >>> import numpy as np, keras_kd
    >>> float(keras_kd.losses.LogitsMSELoss()(np.array([[1.0, 3.0]]), np.array([[1.0, 1.0]])))
    2.0

    Reference: Ba, Caruana, "Do Deep Nets Really Need to be Deep?", NIPS 2014.
    """

    takes_masked_classes = False

    def prepare(
        self, teacher_value: Any, student_value: Tensor, context: dict[str, Any]
    ) -> tuple[Any, Any]:
        """Brings both values to logits of one shape."""
        refuse_top_k(self.name, "teacher", teacher_value)
        return super().prepare(teacher_value, student_value, context)

    def logits_of_probabilities(self, probabilities: Tensor) -> Tensor:
        """Refuses: log-probabilities are logits only up to a shift."""
        raise ValueError(
            f"{self.name} compares logits, which probabilities fix only up to a shift: give models "
            f"that return logits. Received: probabilities of shape {tuple(probabilities.shape)}"
        )

    def call(self, teacher_value: Tensor, student_value: Tensor) -> Tensor:
        """Returns the mean squared difference over the last axis."""
        return ops.mean(ops.square(teacher_value - student_value), axis=-1)
