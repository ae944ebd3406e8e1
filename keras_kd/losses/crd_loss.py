"""Contrastive representation distillation."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_fraction, check_temperature, check_whole_number
from keras_kd.losses.batch_loss import BatchLoss
from keras_kd.losses.formula.contrast_memory import ContrastMemory
from keras_kd.losses.formula.sample_vectors import check_vectors
from keras_kd.typing import Shape, Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class CRDLoss(BatchLoss):
    """Tells the teacher's view of the same sample from those of other samples.

    ```
    sum over both directions of
        -log h(s_i, m_i) - sum over K negatives j of log(1 - h(s_i, m_j))

    h(s, m) = p / (p + K / N),   p = exp(s . m / tau) / Z
    ```

    N is the number of training samples, s the student's vector after a Dense layer and a Euclidean
    norm, m the memory of the teacher's, embedded likewise; in the other direction the roles change.
    After each training batch the memories of its samples move to
    `momentum * m + (1 - momentum) * (the embedding)`, normalised again. Z is set by the first
    training batch, to N times the mean of exp(s . m / tau), and stays. Negatives are drawn
    uniformly from all samples but the one itself, with replacement; the authors' CIFAR-100 runs
    drew them from other classes. Their code's 1e-7 in the denominators is left out.

    Each sample's number travels with the data, `x={"inputs": x, "index": i}`. A number that is no
    training sample's is an error: before training where `fit` is given arrays, else at the first
    such batch, which is not remembered. A Distiller that validates with its teacher needs numbers
    there too, and compares with what it remembers of the training samples that have them. Over
    several replicas the first one's samples alone are remembered; with `gather=True` those of all
    are, in one memory that is the same on each.

    Args:
        size: Number of training samples, N, at least 2.
        negatives: K, from 1 to `size - 1`. Defaults to 16384.
        temperature: tau, above 0. Defaults to 0.07.
        momentum: Of the memory, from 0 to 1. Defaults to 0.5.
        dim: Width of the embeddings. Defaults to 128.
        weight: Defaults to 0.8, the weight in the CIFAR-100 comparisons.
        **kwargs: `gather` (compare the samples of all replicas: `BatchLoss`), `layers`, `name`,
            `reduction`, `dtype`.

    Call arguments: vectors `(B, C)`, `index` of shape `(B,)`, `training` and the `part` that holds
    the embeddings and memories; one value a sample.

    Raises:
        ValueError: If an argument is out of its range, or the values are no vectors.

    Example:

    >>> import numpy as np, keras_kd
    >>> loss = keras_kd.losses.CRDLoss(size=100, negatives=10)
    >>> x = np.random.default_rng(0).normal(size=(4, 3))
    >>> float(loss(x, x, index=np.array([0, 7, 42, 99]))) > 0.0
    True

    Reference: Tian, Krishnan, Isola, "Contrastive Representation Distillation", ICLR 2020.
    """

    least_batch = 1  # its negatives come from the memory

    def __init__(
        self,
        size: int,
        *,
        negatives: int = 16384,
        temperature: float = 0.07,
        momentum: float = 0.5,
        dim: int = 128,
        weight: float = 0.8,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight=weight, **kwargs)
        self.size = check_whole_number("size", size, least=2)
        self.negatives = check_whole_number("negatives", negatives, least=1)
        if self.negatives > self.size - 1:
            raise ValueError(
                "`negatives` must be at most `size` - 1, the number of other samples. "
                f"Received: negatives={negatives}, size={size}"
            )
        self.temperature = check_temperature(temperature)
        self.momentum = check_fraction(momentum, "momentum")
        self.dim = check_whole_number("dim", dim, least=1)

    def make_part(
        self, teacher_shape: Shape, student_shape: Shape, teacher_layer: Any = None
    ) -> keras.layers.Layer | None:
        """Returns the embeddings and memories of both sides."""
        del teacher_layer
        if len(teacher_shape) != 2 or len(student_shape) != 2:
            return None  # `call` says what is wrong with values that are no vectors
        return ContrastMemory(self, teacher_shape, student_shape)

    def call(
        self,
        teacher_value: Tensor,
        student_value: Tensor,
        index: Tensor,
        part: keras.layers.Layer,
        training: bool | None = None,
    ) -> Tensor:
        """Returns each sample's loss in both directions."""
        check_vectors(self.name, teacher_value, student_value)
        index = ops.reshape(ops.cast(index, "int32"), (-1,))
        self._check_index(index)
        log_scores = part((teacher_value, student_value), index=index, training=training)
        values = sum(self._nce(each) for each in log_scores)
        nan = ops.full_like(values, float("nan"))
        return ops.where(part.knows(index), values, nan)

    def check_arrays(self, labels: Any, index: Any, classes: int | None) -> None:
        """Raises a ValueError if numbers of samples are beyond `size`."""
        if index is not None:
            self._check_index(index)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        own = ("size", "negatives", "temperature", "momentum", "dim")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}

    def _nce(self, log_scores):
        """Binary cross-entropy of one true and K drawn samples, of each sample's `(1 + K)`."""
        log_odds = log_scores - math.log(self.negatives / self.size)
        return ops.softplus(-log_odds[:, 0]) + ops.sum(ops.softplus(log_odds[:, 1:]), axis=1)

    def _check_index(self, index):
        try:
            numbers = ops.convert_to_numpy(index)
        except (TypeError, NotImplementedError, ValueError):  # a symbol in a compiled step
            return
        wrong = numbers[(numbers < 0) | (numbers >= self.size)]
        if wrong.size:
            raise ValueError(
                f"`index` must hold the numbers of training samples, 0 to {self.size - 1} "
                f"(`size` is {self.size}). Received: index with {wrong[:5].tolist()}"
            )
