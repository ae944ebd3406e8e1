"""Deep self-attention distillation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_whole_number
from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.losses.formula.per_sample_mean import per_sample_mean
from keras_kd.typing import Tensor

_RELATIONS = (("query", "key"), ("value", "value"))
_HIDDEN = -1e37  # a product that no softmax sees, and that does not overflow


@keras.saving.register_keras_serializable(package="keras_kd")
class MiniLMLoss(DistillationLoss):
    """Divergence of the relations between queries and keys, and between values.

    ```
    mean over heads and positions of KL(A_t, A_s) + KL(R_t, R_s)
    A = softmax(Q K^T / sqrt(d)),   R = softmax(V V^T / sqrt(d))
    ```

    A and R are as wide as the sequence is long, so the sizes of the heads may differ; d is each
    model's own. The paper compares the last layers alone. Names in `layers` are those of
    `keras.layers.MultiHeadAttention` or `GroupQueryAttention`, or of layers that hold one. A hides
    padding and nothing else; a causal mask is not applied to it.

    Args:
        relation_heads: Splits the concatenated heads of both models into so many, as MiniLMv2 does
            (which compares Q Q^T and K K^T too). Needed where the models' numbers of heads differ.
            None, the default, leaves the heads as they are.
        **kwargs: `weight` (1), `layers`, `name`, `reduction`, `dtype`.

    Call arguments: `{"query", "key", "value"}` of `(B, L, heads, size)`; one value a sample.
    `mask`, `(B, L)`, leaves out positions that are padding.

    Raises:
        ValueError: If the lengths or the numbers of heads differ, or a width cannot be split.

    Example:

    >>> import numpy as np, keras_kd
    >>> x = np.random.default_rng(0).normal(size=(2, 5, 4, 3))
    >>> vectors = {"query": x, "key": x, "value": x}
    >>> float(keras_kd.losses.MiniLMLoss()(vectors, vectors))
    0.0

    Reference: Wang et al., "MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression
    of Pre-Trained Transformers", NeurIPS 2020; Wang et al., "MiniLMv2: Multi-Head Self-Attention
    Relation Distillation for Compressing Pretrained Transformers", ACL Findings 2021.
    """

    side = "attention_vectors"

    def __init__(self, relation_heads: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if relation_heads is not None:
            relation_heads = check_whole_number("relation_heads", relation_heads, least=1)
        self.relation_heads = relation_heads

    def call(
        self,
        teacher_value: Mapping[str, Tensor],
        student_value: Mapping[str, Tensor],
        mask: Tensor | None = None,
    ) -> Tensor:
        """Returns each sample's sum of both divergences."""
        self._check(teacher_value, student_value)
        divergence = 0.0
        for names in _RELATIONS:
            log_t, log_s = (
                self._log_relation(value, names, mask) for value in (teacher_value, student_value)
            )
            divergence += ops.sum(ops.exp(log_t) * (log_t - log_s), axis=-1)
        return per_sample_mean(ops.mean(divergence, axis=1), mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "relation_heads": self.relation_heads}

    def _log_relation(self, vectors, names, mask):
        one, other = (self._split(vectors[name]) for name in names)
        products = ops.einsum("blhd,bmhd->bhlm", one, other) / one.shape[-1] ** 0.5
        if mask is not None:
            real = ops.cast(mask, "bool")[:, None, None, :]
            products = ops.where(real, products, ops.full_like(products, _HIDDEN))
        return ops.log_softmax(products, axis=-1)

    def _split(self, vectors):
        if self.relation_heads is None:
            return vectors
        batch, length = ops.shape(vectors)[:2]
        size = vectors.shape[2] * vectors.shape[3] // self.relation_heads
        return ops.reshape(vectors, (batch, length, self.relation_heads, size))

    def _check(self, teacher_value, student_value):
        shapes = {
            role: {name: tuple(vectors.shape) for name, vectors in value.items()}
            if isinstance(value, dict)
            else tuple(value.shape)
            for role, value in (("teacher", teacher_value), ("student", student_value))
        }
        received = f"Received: teacher={shapes['teacher']}, student={shapes['student']}"
        every = [shape for of in shapes.values() if isinstance(of, dict) for shape in of.values()]
        if len(every) != 6 or any(len(shape) != 4 for shape in every):
            raise ValueError(
                f"{self.name} needs vectors {{'query', 'key', 'value'}} of (B, L, heads, size): "
                f"name attention layers in `layers`. {received}"
            )
        if len({shape[1] for shape in every} - {None}) > 1:
            raise ValueError(
                f"{self.name} needs self-attention over sequences of one length. {received}"
            )
        if self.relation_heads is None:
            if len({shape[2] for shape in every}) > 1:
                raise ValueError(
                    f"{self.name}: teacher and student have different numbers of heads; say into "
                    f"how many to split both, MiniLMLoss(relation_heads=...). {received}"
                )
        elif any(shape[2] * shape[3] % self.relation_heads for shape in every):
            raise ValueError(
                f"{self.name}: `relation_heads` must divide heads * size of both models. Received: "
                f"relation_heads={self.relation_heads}, teacher={shapes['teacher']}, "
                f"student={shapes['student']}"
            )
