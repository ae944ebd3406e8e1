"""Distillation that reuses the teacher's classifier."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_number
from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.losses.formula.layer_stack import LayerStack, block
from keras_kd.losses.formula.per_sample_mean import per_sample_mean
from keras_kd.losses.formula.resample import average_to
from keras_kd.typing import Shape, Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class SimKDLoss(DistillationLoss):
    """Mean squared error to the teacher's last features, for a student that takes its classifier.

    ```
    mean (projector(F_s) - F_t)^2
    ```

    The projector is always there: 1x1, 3x3 and 1x1 convolutions (for sequences and vectors Dense
    layers), each with BatchNormalization and ReLU, that narrow to the teacher's width divided by
    `factor` and widen again. ReLU ends it, so tap features that are not negative. Where resolutions
    differ the larger map is averaged to the smaller.

    The paper trains with this loss alone; the student's own classifier is left out of the result,
    in which the trained projector and a copy of the teacher's classifier follow its features:

    ```python
    loss = SimKDLoss(layers={"stage3": "stage3"})
    distiller = keras_kd.Distiller(student, teacher, alpha=0.0, kd_loss=None, feature_losses=[loss])
    distiller.compile("adam")
    distiller.fit(data, epochs=240)
    model = keras_kd.features.student_with_teacher_classifier(distiller)
    ```

    Args:
        factor: What the teacher's width is divided by inside the projector. Defaults to 2.
        **kwargs: `weight` (1), `layers` (one pair, the last features), `name`, `reduction`,
            `dtype`.

    Call arguments: values of one rank, `(B, H, W, C)`, `(B, L, C)` or `(B, C)`, whose widths may
    differ; one value a sample. Masked positions do not count.

    Raises:
        ValueError: If the factor is below 1 or the ranks differ.

    Example:

    >>> import numpy as np, keras_kd
    >>> loss = keras_kd.losses.SimKDLoss()
    >>> float(loss(np.ones((2, 4, 4, 8)), np.zeros((2, 8, 8, 3))))  # a projector of 0 gives 0
    1.0

    Reference: Chen et al., "Knowledge Distillation with the Reused Teacher Classifier", CVPR 2022.
    """

    def __init__(self, factor: float = 2.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = check_number("factor", factor, least=1.0)

    def make_part(
        self, teacher_shape: Shape, student_shape: Shape, teacher_layer: Any = None
    ) -> keras.layers.Layer | None:
        """Makes the projector."""
        del teacher_layer
        width, rank = teacher_shape[-1], len(student_shape)
        narrow = max(1, int(width / self.factor))
        layers = []
        for channels, size in ((narrow, 1), (narrow, 3), (width, 1)):
            relu = keras.layers.ReLU(dtype=self.dtype)
            layers += block(channels, rank, self.dtype, size=size, activation=relu)
        part = LayerStack(layers, dtype=self.dtype, name="projector")
        part.build((None, *smaller_sizes(teacher_shape, student_shape), student_shape[-1]))
        return part

    def call(
        self,
        teacher_value: Tensor,
        student_value: Tensor,
        part: keras.layers.Layer,
        training: bool | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Returns each sample's mean squared difference."""
        shapes = [tuple(value.shape) for value in (teacher_value, student_value)]
        if len(shapes[0]) != len(shapes[1]) or len(shapes[0]) < 2:
            raise ValueError(
                f"{self.name}: values of one rank, (B, C), (B, L, C) or (B, H, W, C), were "
                f"expected. Received: teacher={shapes[0]}, student={shapes[1]}"
            )
        if mask is not None and shapes[0][1:-1] != shapes[1][1:-1]:
            raise ValueError(
                f"{self.name}: where there is padding teacher and student must have the same "
                f"positions. Received: a mask, teacher={shapes[0]}, student={shapes[1]}"
            )
        sizes = smaller_sizes(*shapes)
        student = part(average_to(student_value, sizes), mask=mask, training=training)
        return per_sample_mean(ops.square(student - average_to(teacher_value, sizes)), mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "factor": self.factor}


def smaller_sizes(teacher_shape: Shape, student_shape: Shape) -> Shape:
    """Returns the resolution at which the two are compared."""
    pairs = zip(teacher_shape[1:-1], student_shape[1:-1], strict=False)
    return tuple(None if None in pair else min(pair) for pair in pairs)
