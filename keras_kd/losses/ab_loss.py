"""Activation boundaries."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_number, check_same_shape
from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.losses.formula.per_sample_mean import per_sample_mean
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class ABLoss(DistillationLoss):
    """Margin loss on which side of zero each pre-activation lies.

    ```
    mean  max(0, m - s)^2 where t > 0,   max(0, m + s)^2 elsewhere
    ```

    s and t are the student's and the teacher's values before ReLU: list layers whose output goes
    into a ReLU, or read what a ReLU is given, `Tap("relu", side="input")`. How large the teacher's
    values are does not matter. The paper sums over a sample's neurons; the mean here is that sum
    divided by their number.

    The student is initialised with this loss alone, then trained on the labels; how many epochs
    each takes is yours to choose:

    ```python
    distiller = keras_kd.Distiller(student, teacher, alpha=0.0)
    distiller.fit(data, epochs=200, callbacks=[
        FeatureMatching(ABLoss(layers={"bn3": "bn3"}), stop_epoch=40),
        LossWeightScheduler("kd_loss", lambda epoch, weight: 0.0 if epoch < 40 else 1.0),
        AlphaScheduler(lambda epoch, alpha: 0.0 if epoch < 40 else 0.1),
    ])
    ```

    Args:
        margin: m, above 0. Defaults to 1.
        weight: Defaults to 12, about what the authors' 0.003 times a sum over neurons is for one
            stage of a CIFAR ResNet: `0.003 * neurons`, there 4,096 of the last stage. In
            a short training beside the labels a hundredth did better (`benchmarks/losses.md`).
        **kwargs: `layers`, `name`, `reduction`, `dtype`.

    Call arguments: values of one shape, `(B, H, W, C)`, `(B, L, C)` or `(B, C)`; one value a
    sample. Masked positions do not count. The Distiller adds a projector (the paper's connector
    function) where the shapes differ.

    Raises:
        ValueError: If the margin is not above 0, or the shapes differ.

    Example:

    >>> import numpy as np, keras_kd
    >>> loss = keras_kd.losses.ABLoss()
    >>> float(loss(np.array([[0.1, -9.0]]), np.array([[-1.0, -1.0]])))
    2.0

    Reference: Heo, Lee, Yun, Choi, "Knowledge Transfer via Distillation of Activation Boundaries
    Formed by Hidden Neurons", AAAI 2019.
    """

    match = "shape"

    def __init__(self, margin: float = 1.0, *, weight: float = 12.0, **kwargs: Any) -> None:
        super().__init__(weight=weight, **kwargs)
        self.margin = check_number("margin", margin, above=0.0)

    def call(
        self, teacher_value: Tensor, student_value: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Returns each sample's mean squared shortfall of the margin."""
        check_same_shape(self.name, teacher_value, student_value)
        signed = ops.where(teacher_value > 0.0, student_value, -student_value)
        return per_sample_mean(ops.square(ops.relu(self.margin - signed)), mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "margin": self.margin}
