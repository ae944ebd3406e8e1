"""Knowledge review."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_whole_number
from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.losses.formula.attention_fusion import AttentionFusion
from keras_kd.losses.formula.resample import average_to
from keras_kd.typing import Shape, Tensor

_POOLS = (4, 2, 1)


@keras.saving.register_keras_serializable(package="keras_kd")
class ReviewKDLoss(DistillationLoss):
    """Each stage of the teacher teaches that stage of the student and all deeper ones.

    ```
    sum over stages k of HCL(fused_k, F_t,k)
    HCL = (sum_l w_l mean (pool_l(fused) - pool_l(F_t))^2) / sum_l w_l,   w = 1, 1/2, 1/4, 1/8
    ```

    From the deepest stage to the shallowest, attention-based fusion weighs the student's map and
    what comes from the deeper stages, position by position, and convolves the sum to the teacher's
    width. The hierarchical context loss compares at full size and averaged to 4x4, 2x2 and 1x1,
    leaving out sizes that a map does not exceed.

    The paper lets the weight rise over the first 20 epochs:

    ```python
    LossWeightScheduler("review_kd_loss", lambda epoch, weight: min(1.0, (epoch + 1) / 20))
    ```

    Args:
        mid_channels: Width inside the fusion. Defaults to that of the student's deepest map, 512 at
            most, as in the authors' code.
        weight: Defaults to 1; the paper has up to 8 for other pairs of models.
        **kwargs: `layers` (from shallow to deep), `name`, `reduction`, `dtype`.

    Call arguments: lists of maps `(B, H, W, C)`, whose widths and resolutions may differ; one value
    a sample. Height and width must be known. There is no place for a mask: positions are averaged.

    Raises:
        ValueError: If a value is no map, a size is not known, or there is a mask.

    Example:

    >>> import numpy as np, keras_kd
    >>> maps = [np.ones((2, 8, 8, 4)), np.ones((2, 4, 4, 6))]
    >>> loss = keras_kd.losses.ReviewKDLoss(layers={"stage1": "stage1", "stage2": "stage2"})
    >>> float(loss(maps, maps)) > 0.0
    True

    Reference: Chen, Liu, Zhao, Jia, "Distilling Knowledge via Knowledge Review", CVPR 2021.
    """

    joint = True

    def __init__(self, mid_channels: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if mid_channels is not None:
            mid_channels = check_whole_number("mid_channels", mid_channels, least=1)
        self.mid_channels = mid_channels

    def make_part(
        self,
        teacher_shape: Sequence[Shape],
        student_shape: Sequence[Shape],
        teacher_layer: Any = None,
    ) -> keras.layers.Layer | None:
        """Makes one fusion for each stage."""
        del teacher_layer
        self._check_maps(teacher_shape, student_shape)
        mid = self.mid_channels or min(512, student_shape[-1][-1])
        part = AttentionFusion(mid, dtype=self.dtype, name="fusions")
        part.build(teacher_shape, student_shape)
        return part

    def call(
        self,
        teacher_value: Sequence[Tensor],
        student_value: Sequence[Tensor],
        part: keras.layers.Layer,
        training: bool | None = None,
        mask: Sequence[Tensor | None] | None = None,
    ) -> Tensor:
        """Returns each sample's sum of hierarchical context losses."""
        self._check_maps(
            *([tuple(v.shape) for v in values] for values in (teacher_value, student_value))
        )
        masks = mask if isinstance(mask, list | tuple) else [mask]
        if any(each is not None for each in masks):
            raise ValueError(
                f"{self.name} averages positions, so it has no place for a mask: tap maps without "
                "padding. Received: a mask"
            )
        total, deeper = 0.0, None
        for number in reversed(range(len(student_value))):
            teacher = teacher_value[number]
            fused, deeper = part.fuse(
                number, student_value[number], deeper, tuple(teacher.shape)[1:-1], training
            )
            total = total + _hierarchical_context(fused, teacher)
        return total

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "mid_channels": self.mid_channels}

    def _check_maps(self, teacher_shapes, student_shapes):
        for shape in (*teacher_shapes, *student_shapes):
            if len(shape) != 4 or None in shape[1:]:
                raise ValueError(
                    f"{self.name} needs maps (B, H, W, C) of known height and width. "
                    f"Received: teacher={teacher_shapes}, student={student_shapes}"
                )


def _hierarchical_context(fused, teacher):
    def error(*pair):
        return ops.mean(ops.square(pair[0] - pair[1]), axis=(1, 2, 3))

    total, weights = error(fused, teacher), 1.0
    weight = 1.0
    for pool in _POOLS:
        if pool >= min(teacher.shape[1:3]):
            continue
        weight /= 2.0
        total = total + weight * error(*(average_to(v, (pool, pool)) for v in (fused, teacher)))
        weights += weight
    return total / weights
