"""Factor transfer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_number
from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.losses.formula.layer_stack import LayerStack, block
from keras_kd.losses.formula.per_sample_mean import per_sample_mean
from keras_kd.losses.formula.positions import check_same_positions, real_positions
from keras_kd.losses.formula.unit_norm import unit_norm
from keras_kd.typing import Shape, Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class FTLoss(DistillationLoss):
    """Distance of the teacher's features, paraphrased, from the student's, translated.

    ```
    transfer * mean |f_t / |f_t|_2 - f_s / |f_s|_2|^p + reconstruction * mean (F_t - P(F_t))^2
    ```

    P is an autoencoder of the teacher's features, the paraphraser: three 3x3 convolutions down to
    `rate` of the teacher's channels, the factor f_t, and three transposed ones back. f_s is made by
    the translator, three convolutions on the student's features. Each has a BatchNormalization and
    a leaky ReLU of slope 0.1; for sequences and vectors they are Dense layers. The mean is that of
    the authors' code, the paper has the norm. The transfer trains the student and the translator,
    the reconstruction the paraphraser; both are stages for `LossWeightScheduler`.

    The paper trains the paraphraser first (on CIFAR for 5 or 30 epochs), then leaves it as it is:

    ```python
    distiller = keras_kd.Distiller(student, teacher, feature_losses=[
        FTLoss(layers={"stage3": "stage3"})])
    distiller.fit(data, epochs=200, callbacks=[
        LossWeightScheduler("ft_loss/transfer", lambda epoch, weight: float(epoch >= 5)),
        LossWeightScheduler("ft_loss/reconstruction", lambda epoch, weight: float(epoch < 5)),
        LossWeightScheduler("kd_loss", lambda epoch, weight: float(epoch >= 5)),
        AlphaScheduler(lambda epoch, alpha: 0.0 if epoch < 5 else 0.1),
    ])
    ```

    A stage of weight 0 has no gradient. What is at rest then stays exactly where it is under plain
    SGD, and so do the paraphraser's moving statistics under any optimizer; but momentum (Adam's,
    too) coasts to a stop over some steps, and weight decay goes on. `weight` multiplies both
    stages: where the optimizer sees scale, as SGD does, give the reconstruction `1 / weight`.

    Args:
        rate: The factor's width as a part of the teacher's, the paper's k. Defaults to 0.5.
        p: Power of the distance, at least 1. Defaults to 1.
        weight: Defaults to 500, that of the authors' code for CIFAR. (The 200 of the CIFAR-100
            comparisons belongs to another factor, squares averaged over channels.)
        **kwargs: `layers`, `name`, `reduction`, `dtype`.

    Call arguments: values of one rank, `(B, H, W, C)`, `(B, L, C)` or `(B, C)`, whose widths may
    differ; one value a sample. Masked positions do not count. Where resolutions differ the
    Distiller resizes the student's map.

    Raises:
        ValueError: If an argument is out of its range, or the positions differ.

    Example:

    >>> import numpy as np, keras_kd
    >>> loss = keras_kd.losses.FTLoss(p=2)
    >>> float(loss(np.ones((2, 4, 4, 8)), np.ones((2, 4, 4, 3)))) > 0.0
    True

    Reference: Kim, Park, Kwak, "Paraphrasing Complex Network: Network Compression via Factor
    Transfer", NeurIPS 2018.
    """

    match = "resolution"
    stages = ("transfer", "reconstruction")

    def __init__(
        self, rate: float = 0.5, p: float = 1.0, *, weight: float = 500.0, **kwargs: Any
    ) -> None:
        super().__init__(weight=weight, **kwargs)
        self.rate = check_number("rate", rate, above=0.0)
        self.p = check_number("p", p, least=1.0)

    def make_part(
        self, teacher_shape: Shape, student_shape: Shape, teacher_layer: Any = None
    ) -> keras.layers.Layer | None:
        """Makes paraphraser and translator."""
        del teacher_layer
        part = _Factors(max(1, int(self.rate * teacher_shape[-1])), dtype=self.dtype, name="factor")
        part.build(teacher_shape, student_shape)
        return part

    def call(
        self,
        teacher_value: Tensor,
        student_value: Tensor,
        *,
        part: keras.layers.Layer,
        stages: Mapping[str, Tensor],
        training: bool | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Returns each sample's weighted sum of the two distances."""
        check_same_positions(self.name, teacher_value, student_value)
        transfer, reconstruction = (
            ops.convert_to_tensor(stages[name], dtype=self.dtype) for name in self.stages
        )
        learns = {"mask": mask, "training": training, "learning": reconstruction}
        paraphrased = part.decoder(part.encoder(teacher_value, **learns), **learns)
        error = per_sample_mean(ops.square(teacher_value - paraphrased), mask)
        factors = [  # the teacher's at rest, whether or not the paraphraser learns meanwhile
            ops.stop_gradient(part.encoder(teacher_value, mask=mask, training=False)),
            part.translator(student_value, mask=mask, training=training),
        ]
        keep = real_positions(mask, student_value)
        axes = tuple(range(1, len(keep.shape)))
        teacher, student = (unit_norm(factor * keep, axes) for factor in factors)
        distance = per_sample_mean(ops.power(ops.abs(student - teacher), self.p), mask)
        return transfer * distance + reconstruction * error

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "rate": self.rate, "p": self.p}


class _Factors(keras.layers.Layer):
    """The paraphraser, an encoder and a decoder, and the translator."""

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.width = width

    def build(self, teacher_shape, student_shape):
        ours, theirs, width = student_shape[-1], teacher_shape[-1], self.width
        self.encoder = self._stack("encoder", teacher_shape, [theirs, width, width])
        factor_shape = (*teacher_shape[:-1], width)
        self.decoder = self._stack("decoder", factor_shape, [width, theirs, theirs], True)
        self.translator = self._stack("translator", student_shape, [ours, width, width])
        self.built = True

    def _stack(self, name, shape, widths, transposed=False):
        layers, dtype = [], self.dtype_policy
        for width in widths:
            leaky = keras.layers.LeakyReLU(negative_slope=0.1, dtype=dtype)
            layers += block(
                width, len(shape), dtype, size=3, transposed=transposed, activation=leaky
            )
        stack = LayerStack(layers, dtype=dtype, name=name)
        stack.build(shape)
        return stack
