"""Distance of self-attention."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.losses.formula.per_sample_mean import per_sample_mean
from keras_kd.typing import Tensor

_SIDES = {"kl": "attention_scores", "mse": "attention_logits"}
_SMALLEST = 1.2e-38  # float32's smallest normal number: log of it is finite


@keras.saving.register_keras_serializable(package="keras_kd")
class AttentionLoss(DistillationLoss):
    """Distance of what the heads of an attention layer look at.

    ```
    "kl":   mean over heads and queries of sum_j A_t_j (log A_t_j - log A_s_j),  A = softmax(Z)
    "mse":  mean over heads, queries and keys of (Z_s - Z_t)^2,                  Z = Q K^T / sqrt(d)
    ```

    `"kl"` is MobileBERT's distance of probabilities, `"mse"` TinyBERT's of scaled products before
    the softmax. Names in `layers` are those of `keras.layers.MultiHeadAttention` or
    `GroupQueryAttention`, or of layers that hold one. Where the models have different numbers of
    heads, each model's are averaged first: probabilities for `"kl"`, products for `"mse"`.

    Args:
        distance: `"kl"` (the default) or `"mse"`.
        **kwargs: `weight` (1), `layers`, `name`, `reduction`, `dtype`.

    Call arguments: `(B, heads, T, S)` of equal lengths, probabilities for `"kl"`; one value a
    sample. `mask`, `(B, T)`, leaves out the queries, and for `"mse"` the keys of self-attention,
    that are padding.

    Raises:
        ValueError: If `distance` is neither, or the values are no attention of equal lengths.

    Example:

    >>> import numpy as np, keras_kd
    >>> teacher, student = np.full((2, 4, 3, 3), 1.0 / 3.0), np.tile(np.eye(3), (2, 1, 1, 1))
    >>> float(keras_kd.losses.AttentionLoss()(student, teacher))  # ln 3
    1.0986123085021973

    Reference: Sun et al., "MobileBERT: a Compact Task-Agnostic BERT for Resource-Limited Devices",
    ACL 2020; Jiao et al., "TinyBERT: Distilling BERT for Natural Language Understanding", EMNLP
    Findings 2020.
    """

    def __init__(self, distance: str = "kl", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if distance not in _SIDES:
            raise ValueError(f"`distance` must be 'kl' or 'mse'. Received: distance={distance!r}")
        self.distance = distance

    @property
    def side(self) -> str:  # type: ignore[override]  # a class of its own says it for all
        """What a plain name in `layers` reads of that layer."""
        return _SIDES[self.distance]

    def call(
        self, teacher_value: Tensor, student_value: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Returns each sample's distance of attention."""
        _check(self.name, teacher_value, student_value)
        if teacher_value.shape[1] != student_value.shape[1]:
            teacher_value = ops.mean(teacher_value, axis=1, keepdims=True)
            student_value = ops.mean(student_value, axis=1, keepdims=True)
        if self.distance == "mse":
            squares = ops.mean(ops.square(student_value - teacher_value), axis=1)
            return per_sample_mean(squares, _pairs(mask, squares))
        log_t, log_s = (
            ops.log(ops.maximum(value, _SMALLEST)) for value in (teacher_value, student_value)
        )
        # A probability of 0, of what a mask hides, counts for nothing.
        divergence = ops.sum(teacher_value * (log_t - log_s), axis=-1)
        return per_sample_mean(ops.mean(divergence, axis=1), mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "distance": self.distance}


def _pairs(mask, values):
    """A mask of queries and, where the sequence attends to itself, of keys too."""
    if mask is None or values.shape[1] != values.shape[2]:
        return mask
    mask = ops.cast(mask, "bool")
    return ops.logical_and(mask[:, :, None], mask[:, None, :])


def _check(name, teacher_value, student_value):
    shapes = [tuple(value.shape) for value in (teacher_value, student_value)]
    fits = all(len(shape) == 4 for shape in shapes) and all(
        a is None or b is None or a == b for a, b in zip(shapes[0][2:], shapes[1][2:], strict=True)
    )
    if not fits:
        raise ValueError(
            f"{name} needs attention (B, heads, T, S) of equal lengths: name an attention layer in "
            f"`layers`. Received: teacher={shapes[0]}, student={shapes[1]}"
        )
