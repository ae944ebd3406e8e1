"""Distillation of relations by correlation."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_number
from keras_kd.losses.batch_loss import BatchLoss
from keras_kd.losses.formula.to_rank import to_rank
from keras_kd.losses.formula.unit_norm import unit_norm
from keras_kd.losses.temperature_loss import TemperatureLoss
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class DISTLoss(BatchLoss, TemperatureLoss):
    """One minus the correlation of predictions: over the classes, and over the batch.

    ```
    T^2 * (beta * mean_i (1 - r(p_t[i, :], p_s[i, :]))      inter-class: each sample's classes
           + gamma * mean_c (1 - r(p_t[:, c], p_s[:, c])))  intra-class: each class' samples
    p = softmax(z / T),   r = Pearson's correlation
    ```

    Correlation lets the student keep its own scale: a stronger teacher's exact probabilities need
    not be met. A constant has correlation 0 with anything. Each sample's value is its share of the
    batch: their mean is the published value. With one sample the intra-class part is 0.

    A class that is masked by a logit of minus infinity has no value here: an error where the logits
    are known before a step runs, infinity or NaN in it.

    Args:
        temperature: T, 1.0 by default as published for ImageNet, and the loss' own; None is the
            Distiller's.
        beta: Weight of the inter-class part. Defaults to 1.
        gamma: Weight of the intra-class part. Defaults to 1.
        weight: Defaults to 2, published beside a weight 1 of the labels: `alpha=0.5` in the
            Distiller keeps their ratio, the default of 0.1 gives the loss 9 times as much.
        **kwargs: `gather` (correlate over the samples of all replicas: as in `BatchLoss`), and what
            `KDLoss` takes.

    Call arguments: logits of shape `(B, ..., C)` from teacher and student; tokens and pixels count
    as samples, those that `mask` leaves out do not; one value a sample, `(B,)`.

    Raises:
        ValueError: If an argument is out of its range, or the shapes differ.

    Example:

    >>> import numpy as np, keras_kd
    >>> loss = keras_kd.losses.DISTLoss(gamma=0.0)
    >>> teacher, student = np.log([[0.5, 0.3, 0.2]]), np.log([[0.4, 0.4, 0.2]])
    >>> round(float(loss(teacher, student)), 4)  # 1 - 2 / sqrt(7)
    0.2441

    Reference: Huang et al., "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022.
    """

    least_batch = 1
    takes_masked_classes = False

    def __init__(
        self,
        temperature: float | None = 1.0,
        *,
        beta: float = 1.0,
        gamma: float = 1.0,
        weight: float = 2.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(temperature, weight=weight, **kwargs)
        self.beta = check_number("beta", beta, least=0.0)
        self.gamma = check_number("gamma", gamma, least=0.0)

    def call(
        self,
        teacher_value: Tensor,
        student_value: Tensor,
        mask: Tensor | None = None,
        temperature: Tensor | float | None = None,
    ) -> Tensor:
        """Returns each sample's share of both parts."""
        t = self.own_temperature(temperature)
        classes, batch = student_value.shape[-1], ops.shape(student_value)[0]
        rows = [
            ops.reshape(ops.log_softmax(z / t, axis=-1), (-1, classes))
            for z in (teacher_value, student_value)
        ]
        keep = ops.ones_like(student_value[..., 0])
        if mask is not None:
            keep = keep * to_rank(ops.cast(mask, keep.dtype), len(keep.shape))
        keep = ops.reshape(keep, (-1,))
        count = ops.sum(keep)
        inter = 1.0 - ops.sum(_unit(rows[0], -1) * _unit(rows[1], -1), axis=-1)
        # A mean over the rows whose value is 1 - r, since r is the sum of the products.
        columns = _unit(rows[0], 0, keep[:, None]) * _unit(rows[1], 0, keep[:, None])
        intra = 1.0 - count * ops.mean(columns, axis=-1)
        intra = intra * ops.cast(count > 1.5, keep.dtype)
        values = t * t * keep * (self.beta * inter + self.gamma * intra)
        share = ops.cast(batch, keep.dtype) / ops.maximum(count, 1.0)
        return share * ops.sum(ops.reshape(values, (batch, -1)), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "beta": self.beta, "gamma": self.gamma}


def _unit(log_p, axis, keep=None):
    """Probabilities less their mean, over their norm: what a product sums to the correlation of.

    Correlation knows no scale, so they are taken over the largest of them, which keeps chances that
    are too small for a float; and less it, which keeps differences that are.
    """
    keep = ops.ones_like(log_p) if keep is None else keep * ops.ones_like(log_p)
    real = keep > 0.0
    largest = ops.max(ops.where(real, log_p, ops.full_like(log_p, -1e30)), axis, keepdims=True)
    log_p = ops.where(real, log_p - ops.stop_gradient(largest), ops.zeros_like(log_p))
    p = ops.expm1(log_p)  # 0 where left out
    mean = ops.sum(p, axis, keepdims=True) / ops.maximum(ops.sum(keep, axis, keepdims=True), 1.0)
    return unit_norm(keep * (p - mean), axis)
