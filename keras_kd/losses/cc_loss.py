"""Correlation congruence."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_number, check_whole_number
from keras_kd.losses.batch_loss import BatchLoss
from keras_kd.losses.formula.embedding_pair import EmbeddingPair
from keras_kd.losses.formula.sample_vectors import check_vectors
from keras_kd.losses.formula.unit_norm import unit_norm
from keras_kd.typing import Shape, Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class CCLoss(BatchLoss):
    """Squared distance of the correlations between the samples of a batch.

    ```
    1 / B^2 * sum_ij (k(s_i, s_j) - k(t_i, t_j))^2
    k(x, y) = exp(-2 gamma) * sum_{p=0}^{2} (2 gamma)^p / p! * (x . y)^p,   |x| = |y| = 1
    ```

    k is the Taylor series of the Gaussian kernel exp(-gamma |x - y|^2). Each side is embedded by a
    Dense layer before it is normalised, and both layers are trained, the teacher's too, as in the
    code that the CIFAR-100 comparisons ran; the teacher gets no gradient. (That code has another
    formula, products of neighbouring differences. This one is the paper's.) With `dim=None` the
    values are compared as they are. A sample's share is its row of the sum.

    Args:
        gamma: Of the kernel, above 0. Defaults to 0.4.
        dim: Width of the embeddings, or None for none. Defaults to 128.
        weight: Defaults to 10, which no one published: the best of 1 to 10,000 on 2,000 validation
            images of CIFAR-10 (`benchmarks/losses.py --search cc_loss ...`). The 0.02 of the
            CIFAR-100 comparisons belongs to their formula and would do nothing here.
        **kwargs: `gather` (compare the samples of all replicas: `BatchLoss`), `layers`, `name`,
            `reduction`, `dtype`.

    Call arguments: vectors `(B, C)` and the `part` that holds the embeddings; one value a sample.

    Raises:
        ValueError: If an argument is out of its range, or the values are no vectors.

    Example:

    >>> import numpy as np, keras_kd
    >>> x = np.random.default_rng(0).normal(size=(4, 3))
    >>> float(keras_kd.losses.CCLoss(dim=None)(x, 2.0 * x)) < 1e-9
    True

    Reference: Peng et al., "Correlation Congruence for Knowledge Distillation", ICCV 2019.
    """

    def __init__(
        self, *, gamma: float = 0.4, dim: int | None = 128, weight: float = 10.0, **kwargs: Any
    ) -> None:
        super().__init__(weight=weight, **kwargs)
        self.gamma = check_number("gamma", gamma, above=0.0)
        self.dim = None if dim is None else check_whole_number("dim", dim, least=1)

    def make_part(
        self, teacher_shape: Shape, student_shape: Shape, teacher_layer: Any = None
    ) -> keras.layers.Layer | None:
        """Returns the two embeddings, or None where `dim` is None."""
        del teacher_layer
        if self.dim is None or len(teacher_shape) != 2 or len(student_shape) != 2:
            return None  # `call` says what is wrong with values that are no vectors
        return EmbeddingPair(self.dim, teacher_shape, student_shape, self.dtype)

    def call(
        self, teacher_value: Tensor, student_value: Tensor, part: keras.layers.Layer | None = None
    ) -> Tensor:
        """Returns each sample's mean squared difference of correlations."""
        check_vectors(self.name, teacher_value, student_value)
        if part is not None:
            teacher_value, student_value = part((teacher_value, student_value))
        difference = self._correlation(student_value) - self._correlation(teacher_value)
        return ops.mean(ops.square(difference), axis=1)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "gamma": self.gamma, "dim": self.dim}

    def _correlation(self, vectors):
        vectors = unit_norm(vectors, -1)
        cosine = ops.matmul(vectors, ops.transpose(vectors))
        twice = 2.0 * self.gamma
        return math.exp(-twice) * (1.0 + twice * cosine + twice**2 / 2.0 * ops.square(cosine))
