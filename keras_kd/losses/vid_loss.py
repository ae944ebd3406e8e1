"""Variational information distillation."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_number
from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.losses.formula.per_sample_mean import per_sample_mean
from keras_kd.losses.formula.positions import check_same_positions
from keras_kd.typing import Shape, Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class VIDLoss(DistillationLoss):
    """Variational bound of the information that the student's features hold of the teacher's.

    ```
    mean 1/2 ((F_t - mu(F_s))^2 / var_c + log var_c),   var_c = softplus(a_c) + eps
    ```

    The negative log likelihood, less its constant, of the teacher's features under a normal
    distribution that is learned: its mean mu is three 1x1 convolutions with ReLU between them (for
    sequences and vectors Dense layers, which are the same) of the teacher's width, without bias;
    its variance has one number a channel. The mean is over positions and channels, as in the
    CIFAR-100 comparisons; the paper's text sums. It can be negative.

    Args:
        initial_variance: Of every channel. Defaults to 5.
        eps: The least variance. Defaults to 1e-5.
        weight: Defaults to 1.
        **kwargs: `layers`, `name`, `reduction`, `dtype`.

    Call arguments: values of one rank, `(B, H, W, C)`, `(B, L, C)` or `(B, C)`, whose widths may
    differ; one value a sample. Masked positions do not count. Where resolutions differ the
    Distiller resizes the student's map.

    Raises:
        ValueError: If an argument is out of its range, or the positions differ.

    Example:

    >>> import keras, numpy as np, keras_kd
    >>> keras.utils.set_random_seed(0)
    >>> loss = keras_kd.losses.VIDLoss(initial_variance=1.0)
    >>> round(float(loss(np.ones((2, 4, 4, 8)), np.zeros((2, 4, 4, 3)))), 4)
    0.5

    Reference: Ahn, Hu, Damianou, Lawrence, Dai, "Variational Information Distillation for Knowledge
    Transfer", CVPR 2019.
    """

    match = "resolution"

    def __init__(self, initial_variance: float = 5.0, eps: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.eps = check_number("eps", eps, above=0.0)
        self.initial_variance = check_number("initial_variance", initial_variance, above=self.eps)

    def make_part(
        self, teacher_shape: Shape, student_shape: Shape, teacher_layer: Any = None
    ) -> keras.layers.Layer | None:
        """Makes the regressor and the variances."""
        del teacher_layer
        part = _Normal(
            teacher_shape[-1], self.initial_variance, self.eps, dtype=self.dtype, name="normal"
        )
        part.build(student_shape)
        return part

    def call(
        self,
        teacher_value: Tensor,
        student_value: Tensor,
        part: keras.layers.Layer,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Returns each sample's mean negative log likelihood."""
        check_same_positions(self.name, teacher_value, student_value)
        mean, variance = part(student_value)
        error = ops.square(teacher_value - mean) / variance
        return per_sample_mean(0.5 * (error + ops.log(variance)), mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "initial_variance": self.initial_variance,
            "eps": self.eps,
        }


class _Normal(keras.layers.Layer):
    """Mean and variance of the teacher's features, given the student's."""

    def __init__(self, width, initial_variance, eps, **kwargs):
        super().__init__(**kwargs)
        self.eps = eps
        self.supports_masking = True  # else Keras warns that the mask ends here
        # The inverse of softplus, exact for large and small variances.
        spread = initial_variance - eps
        initial = spread + math.log(-math.expm1(-spread))
        self.log_scale = self.add_weight(
            shape=(width,), initializer=keras.initializers.Constant(initial), name="log_scale"
        )
        self.regressor = [
            keras.layers.Dense(
                width,
                activation=act,
                use_bias=False,
                dtype=self.dtype_policy,
                name=f"mean_{number}",
            )
            for number, act in enumerate(("relu", "relu", None))
        ]

    def build(self, shape):
        shape = tuple(shape)
        for layer in self.regressor:
            layer.build(shape)
            shape = (*shape[:-1], layer.units)
        self.built = True

    def call(self, value):
        for layer in self.regressor:
            value = layer(value)
        return value, ops.softplus(ops.convert_to_tensor(self.log_scale)) + self.eps
