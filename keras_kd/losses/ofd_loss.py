"""Overhaul of feature distillation."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_kd.checks import check_number, check_same_shape
from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.losses.formula.positions import real_positions
from keras_kd.typing import Shape, Tensor

_BATCH = "batch"


@keras.saving.register_keras_serializable(package="keras_kd")
class OFDLoss(DistillationLoss):
    """Partial squared distance to the teacher's features before ReLU.

    ```
    sum d_p(max(F_t, m_c), F_s),   d_p(t, s) = 0 if s <= t <= 0, else (t - s)^2
    ```

    List layers whose output goes into a ReLU, or read what a ReLU is given, `Tap("relu",
    side="input")`. The teacher's values pass a margin ReLU, where m_c is the mean of channel c's
    negative values; what is already below a target that is not positive need not move. The sum is
    over a sample's positions and channels, as in the paper. The paper halves the weight from each
    layer to the one before it: give each its own loss where that matters.

    m_c is, in this order: `margin`; where the teacher's layer is a
    `keras.layers.BatchNormalization` whose output is read, the mean below 0 of the normal
    distribution that its gamma and beta describe, found once, when the Distiller is made (the
    authors' code takes -3 |gamma| where beta is above about 3 |gamma|); else the mean of the
    channel's negative values in the batch.

    Where the teacher's values travel with the data, its layer cannot be asked: then `margin` says
    `OFDLoss.margins_of(layer)`, taken while the teacher was there, or `"batch"`. What a layer is
    given, a `Tap` of side `"input"`, has the batch's margins anyway.

    Args:
        margin: A number, at most 0, or one for each of the teacher's channels; or `"batch"` for
            the mean of the channel's negative values in the batch. None, the default, is found as
            above.
        weight: Defaults to 1e-3, the authors' for CIFAR; they have 1e-4 for ImageNet and 1e-5 for
            segmentation.
        **kwargs: `layers`, `name`, `reduction`, `dtype`.

    Call arguments: values of one shape, `(B, H, W, C)`, `(B, L, C)` or `(B, C)`; one value a
    sample. Masked positions do not count. The Distiller adds a projector (the paper's regressor)
    where the shapes differ.

    Raises:
        ValueError, TypeError: If a margin is above 0, or the shapes differ; if there is no teacher
            to read it off.

    Example:

    >>> import numpy as np, keras_kd
    >>> loss = keras_kd.losses.OFDLoss(margin=-1.0)
    >>> float(loss(np.array([[2.0, -5.0, -5.0]]), np.array([[0.0, 1.0, -9.0]])))  # 4 + 4 + 0
    8.0

    Reference: Heo, Kim, Yun, Park, Kwak, Choi, "A Comprehensive Overhaul of Feature Distillation",
    ICCV 2019.
    """

    match = "shape"

    def __init__(
        self,
        margin: float | Sequence[float] | str | None = None,
        *,
        weight: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight=weight, **kwargs)
        self.margin = _check_margin(margin)

    def make_part(
        self, teacher_shape: Shape, student_shape: Shape, teacher_layer: Any = None
    ) -> keras.layers.Layer | None:
        """Makes the layer that holds the margins, where they are known beforehand."""
        del student_shape
        margin = None if self.margin == _BATCH else self.margin
        if self.margin is None and self._is_read(teacher_layer):
            margin = _margins(teacher_layer, teacher_shape[-1])
        elif self.margin is None and getattr(teacher_layer, "side", None) == "output":
            raise ValueError(
                f"{self.name} reads its margins off the teacher's layer, and there is no teacher. "
                "Give margin=OFDLoss.margins_of(layer) of its BatchNormalization, or "
                f"margin='batch' where it is another layer. Received: margin=None, {teacher_layer}"
            )
        if isinstance(margin, list) and len(margin) != teacher_shape[-1]:
            raise ValueError(
                f"{self.name}: `margin` must be one number or one a channel. Received: "
                f"{len(margin)} margins, teacher={tuple(teacher_shape)}"
            )
        return _Margin(margin, dtype=self.dtype, name="margin")

    def call(
        self,
        teacher_value: Tensor,
        student_value: Tensor,
        part: keras.layers.Layer,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Returns each sample's sum of partial squared differences."""
        check_same_shape(self.name, teacher_value, student_value)
        keep = real_positions(mask, student_value)
        target = ops.maximum(teacher_value, part(teacher_value, keep))
        counts = ops.logical_or(student_value > target, target > 0.0)
        squares = ops.where(counts, ops.square(student_value - target), 0.0)
        return ops.sum(squares * keep, axis=tuple(range(1, len(squares.shape))))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "margin": self.margin}

    @staticmethod
    def margins_of(layer: keras.layers.Layer) -> list[float]:
        """Returns what `margin=None` finds for a `keras.layers.BatchNormalization`: a list."""
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        if not is_norm or not layer.built:
            raise ValueError(
                "Margins are read off a built keras.layers.BatchNormalization. "
                f"Received: layer={layer!r}"
            )
        return _margins(layer, layer.moving_mean.shape[0])

    def _is_read(self, layer):
        """Whether a layer is a BatchNormalization whose output, not input, is compared."""
        taps = () if self.layers is None else self.layers.values()
        inputs = [tap.layer for tap in taps if getattr(tap, "side", self.side) == "input"]
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        return is_norm and layer.name not in [path.rsplit("/")[-1] for path in inputs]


class _Margin(keras.layers.Layer):
    """The margins, kept, or read off the batch."""

    def __init__(self, margin, **kwargs):
        super().__init__(**kwargs)
        self.margin = None
        self.supports_masking = True  # else Keras warns that the mask ends here
        if margin is not None:
            margin = np.asarray(margin)
            self.margin = self.add_weight(
                shape=margin.shape,
                initializer=lambda shape, dtype: ops.convert_to_tensor(margin, dtype),
                trainable=False,
                name="margin",
            )
        self.built = True

    def call(self, value, keep):
        if self.margin is not None:
            return ops.convert_to_tensor(self.margin)
        axes = tuple(range(len(value.shape) - 1))
        negative = ops.cast(value < 0.0, value.dtype) * keep
        return ops.divide_no_nan(ops.sum(value * negative, axes), ops.sum(negative, axes))


def _margins(norm, channels):
    """E[x | x < 0] of each channel, x normal with mean beta and standard deviation |gamma|."""
    given = [
        [default] * channels if weight is None else ops.convert_to_numpy(weight).tolist()
        for weight, default in ((norm.beta, 0.0), (norm.gamma, 1.0))
    ]
    if any(len(each) != channels for each in given):  # it normalises another axis
        return None
    return [_mean_below_0(mean, abs(deviation)) for mean, deviation in zip(*given, strict=True)]


def _mean_below_0(mean, deviation):
    if deviation == 0.0:
        return min(mean, 0.0)
    z = mean / deviation
    if z > 25.0:  # the tail's expansion; the closed form would subtract equal numbers
        return -deviation * (1.0 / z - 2.0 / z**3 + 10.0 / z**5)
    density = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return mean - deviation * density / (0.5 * math.erfc(z / math.sqrt(2.0)))


def _check_margin(margin):
    if isinstance(margin, str) and margin == _BATCH:
        return margin
    if margin is None or (isinstance(margin, numbers.Real) and not isinstance(margin, bool)):
        return None if margin is None else check_number("margin", margin, most=0.0)
    if isinstance(margin, list | tuple | np.ndarray) and len(np.shape(margin)) == 1:
        return [check_number("margin", each, most=0.0) for each in margin]
    return check_number("margin", margin, most=0.0)
