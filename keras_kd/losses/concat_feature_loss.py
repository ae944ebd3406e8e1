"""Distance between concatenated features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.losses.formula.per_sample_mean import per_sample_mean
from keras_kd.losses.formula.positions import real_positions
from keras_kd.losses.formula.resample import average_to
from keras_kd.typing import Shape, Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class ConcatFeatureLoss(DistillationLoss):
    """Mean squared error between several layers of the student and of the teacher, side by side.

    ```
    mean (projector(concat_k F_s,k) - concat_k F_t,k)^2
    ```

    Concatenated over channels, so that every layer of the teacher teaches every layer of the
    student. Where resolutions differ all are averaged to the smallest that is listed. Where the
    concatenations differ in width one projector, a Dense layer over channels (on maps a 1x1
    convolution), brings the student's to the teacher's.

    Args:
        **kwargs: `weight` (1), `layers`, `name`, `reduction`, `dtype`.

    Call arguments: lists of values of one rank, `(B, C)`, `(B, L, C)` or `(B, H, W, C)`; one value
    a sample. Masked positions do not count.

    Raises:
        ValueError: If the values differ in rank.

    Example:

    >>> import numpy as np, keras_kd
    >>> one, two = np.ones((1, 4, 4, 2)), np.ones((1, 2, 2, 3))
    >>> round(float(keras_kd.losses.ConcatFeatureLoss()([one, two], [one, 2.0 * two])), 4)
    0.6

    Reference: Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015, for the distance; the
    concatenation is common practice in distilling very small models.
    """

    joint = True

    def make_part(
        self,
        teacher_shape: Sequence[Shape],
        student_shape: Sequence[Shape],
        teacher_layer: Any = None,
    ) -> keras.layers.Layer | None:
        """Makes the projector, where widths differ."""
        del teacher_layer
        theirs, ours = (sum(shape[-1] for shape in each) for each in (teacher_shape, student_shape))
        if theirs == ours:
            return None
        part = keras.layers.Dense(theirs, dtype=self.dtype, name="projector")
        part.build((*student_shape[0][:-1], ours))
        return part

    def call(
        self,
        teacher_value: Sequence[Tensor],
        student_value: Sequence[Tensor],
        part: keras.layers.Layer,
        mask: Sequence[Tensor | None] | None = None,
    ) -> Tensor:
        """Returns each sample's mean squared difference."""
        masks = mask if isinstance(mask, list | tuple) else [mask] * len(student_value)
        sizes = self._smallest([*teacher_value, *student_value])
        ours, theirs, keeps = [], [], []
        for teacher, student, of_pair in zip(teacher_value, student_value, masks, strict=True):
            keep = None if of_pair is None else real_positions(of_pair, student)
            ours.append(average_to(student, sizes, keep))
            theirs.append(average_to(teacher, sizes, self._of_teacher(keep, teacher, student)))
            if keep is not None:
                keeps.append(average_to(keep, sizes)[..., 0] > 0.0)
        student = ops.concatenate(ours, axis=-1)
        if part is not None:
            student = part(student)
        keep = None
        for each in keeps:
            keep = each if keep is None else ops.logical_and(keep, each)
        return per_sample_mean(ops.square(student - ops.concatenate(theirs, axis=-1)), keep)

    def _smallest(self, values):
        shapes = [tuple(value.shape) for value in values]
        if len({len(shape) for shape in shapes}) > 1 or len(shapes[0]) < 2:
            raise ValueError(
                f"{self.name} concatenates values of one rank, (B, C), (B, L, C) or (B, H, W, C). "
                f"Received: shapes={shapes}"
            )
        sizes = []
        for axis in zip(*(shape[1:-1] for shape in shapes), strict=True):
            sizes.append(None if None in axis else min(axis))
        return sizes

    def _of_teacher(self, keep, teacher, student):
        """Returns the mask of the teacher's value: the student's, if it has as many positions."""
        same = tuple(teacher.shape)[1:-1] == tuple(student.shape)[1:-1]
        if keep is not None and not same:
            raise ValueError(
                f"{self.name}: the student's mask does not fit a teacher's value of other "
                f"positions. Received: teacher={tuple(teacher.shape)}, "
                f"student={tuple(student.shape)}"
            )
        return keep
