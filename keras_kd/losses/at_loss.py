"""Attention transfer."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_number, check_same_shape
from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.losses.formula.per_sample_mean import per_sample_mean
from keras_kd.losses.formula.unit_norm import unit_norm
from keras_kd.losses.formula.zero_padding import zero_padding
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class ATLoss(DistillationLoss):
    """Mean squared difference of normalised spatial attention maps.

    ```
    Q = flatten(mean_c |F|^p);   mean (Q_s / |Q_s|_2 - Q_t / |Q_t|_2)^2
    ```

    Channels are averaged away, so widths may differ; where resolutions differ the Distiller resizes
    the student's map. The mean over positions is that of the authors' code; the paper's text has a
    norm.

    Args:
        p: Power of the activations, at least 1: below it the gradient at an activation of 0 is
            infinite. Defaults to 2.
        weight: Defaults to 1000 (for the sum over the pairs in `layers`; published with three).
        **kwargs: `layers`, `name`, `reduction`, `dtype`.

    Call arguments: maps `(B, H, W, C)` or `(B, L, C)` of equal positions; one value a sample.

    Raises:
        ValueError: If the values have no positions or differ in them.

    Example:

    >>> import numpy as np, keras_kd
    >>> x = np.random.default_rng(0).normal(size=(2, 4, 4, 8))
    >>> float(keras_kd.losses.ATLoss()(x, 3.0 * x)) < 1e-9
    True

    Reference: Zagoruyko, Komodakis, "Paying More Attention to Attention", ICLR 2017.
    """

    match = "resolution"

    def __init__(self, p: float = 2.0, *, weight: float = 1000.0, **kwargs: Any) -> None:
        super().__init__(weight=weight, **kwargs)
        self.p = check_number("p", p, least=1.0)

    def call(
        self, teacher_value: Tensor, student_value: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Returns each sample's mean squared difference of attention."""
        if len(student_value.shape) < 3:
            raise ValueError(
                f"{self.name} needs maps (B, H, W, C) or (B, L, C). "
                f"Received: student={tuple(student_value.shape)}"
            )
        teacher, student = self._attention(teacher_value), self._attention(student_value)
        check_same_shape(self.name, teacher, student)
        teacher, student = zero_padding(teacher, mask), zero_padding(student, mask)
        positions = tuple(range(1, len(student.shape)))
        difference = unit_norm(student, positions) - unit_norm(teacher, positions)
        return per_sample_mean(ops.square(difference), mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "p": self.p}

    def _attention(self, value):
        magnitude = ops.square(value) if self.p == 2.0 else ops.power(ops.abs(value), self.p)
        return ops.mean(magnitude, axis=-1)
