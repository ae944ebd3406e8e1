"""Distillation at a temperature that is learned against the student."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_number, check_temperature, check_whole_number
from keras_kd.losses.kd_loss import KDLoss
from keras_kd.typing import Shape, Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class CTKDLoss(KDLoss):
    """Hinton's loss at one learned temperature, which is trained to make the student's task harder.

    ```
    T^2 * KL(softmax(z_t / T) || softmax(z_s / T)),   T = low + (high - low) * sigmoid(a)
    ```

    The optimizer trains `a` together with the student, but gets its gradient reversed, times a
    strength that rises from 0 to 1 as `(1 - cos(pi * step / reversal_steps)) / 2`: an easy task at
    first, then ever harder. This is the paper's global temperature. The Distiller's temperature has
    no part in it. `a` and the step are saved and resumed with the Distiller, as
    `distiller.output_terms[0].part`.

    Args:
        reversal_steps: Training steps until the reversal has its full strength. The authors' runs
            take 10 epochs on CIFAR, `10 * math.ceil(examples / batch_size)`, and 5 on ImageNet.
        initial: T before training. Defaults to 4, which is ours: the authors' code begins at
            `a = 1`, a T of 15.6.
        low: T is above it. Defaults to 1.
        high: T is below it. Defaults to 21.
        **kwargs: As in `KDLoss`, without a temperature.

    Call arguments: logits of shape `(..., C)` from teacher and student; one value each `(...)`.

    Raises:
        ValueError: If an argument is out of its range, or the shapes differ.

    Example:

    >>> import numpy as np, keras_kd
    >>> loss = keras_kd.losses.CTKDLoss(reversal_steps=10 * 391, initial=2.0)
    >>> teacher, student = np.array([[0.0, 2.0 * np.log(3.0)]]), np.array([[0.0, 0.0]])
    >>> round(float(loss(teacher, student)), 4)  # 4 * 0.1308
    0.5232

    Reference: Li et al., "Curriculum Temperature for Knowledge Distillation", AAAI 2023.
    """

    def __init__(
        self,
        reversal_steps: int,
        *,
        initial: float = 4.0,
        low: float = 1.0,
        high: float = 21.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(None, **kwargs)
        self.reversal_steps = check_whole_number("reversal_steps", reversal_steps, least=1)
        self.low = check_temperature(low, "low")
        self.high = check_number("high", high, above=self.low)
        self.initial = check_number("initial", initial, above=self.low)
        if self.initial >= self.high:
            raise ValueError(
                f"`initial` must be between `low` and `high`. Received: initial={initial!r}, "
                f"low={low!r}, high={high!r}"
            )

    def make_part(
        self, teacher_shape: Shape, student_shape: Shape, teacher_layer: Any = None
    ) -> keras.layers.Layer | None:
        """Makes the layer that holds `a` and the step."""
        part = _LearnedTemperature(
            self.reversal_steps, self.initial, self.low, self.high, dtype=self.dtype
        )
        part.build()
        return part

    def call(  # type: ignore[override]  # its temperature is the one that `part` learns
        self,
        teacher_value: Tensor,
        student_value: Tensor,
        part: keras.layers.Layer,
        training: bool | None = None,
    ) -> Tensor:
        """Returns the softened KL divergence over the last axis."""
        return super().call(teacher_value, student_value, part(training=bool(training)))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = super().get_config()
        del config["temperature"]
        names = ("reversal_steps", "initial", "low", "high")
        return {**config, **{name: getattr(self, name) for name in names}}


class _LearnedTemperature(keras.layers.Layer):
    """A temperature whose gradient is reversed, ever more with each training step."""

    def __init__(self, reversal_steps, initial, low, high, **kwargs):
        super().__init__(name="learned_temperature", **kwargs)
        self.reversal_steps, self.initial, self.low, self.high = reversal_steps, initial, low, high

    def build(self, input_shape=None):
        share = (self.initial - self.low) / (self.high - self.low)
        self.a = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(math.log(share / (1.0 - share))),
            name="a",
        )
        self.step = self.add_weight(
            shape=(),
            initializer="zeros",
            dtype="int32",
            trainable=False,
            aggregation="only_first_replica",
            name="step",
        )

    def call(self, training=False):
        temperature = self.low + (self.high - self.low) * ops.sigmoid(self.a)
        done = ops.minimum(ops.cast(self.step, self.compute_dtype) / self.reversal_steps, 1.0)
        strength = (1.0 - ops.cos(math.pi * done)) / 2.0
        if training:
            self.step.assign_add(1)
        value = ops.stop_gradient(temperature)
        return value - strength * (temperature - value)  # T itself, with the gradient -strength
