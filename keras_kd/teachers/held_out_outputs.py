"""A teacher's answers beside held-out labels, position by position."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import keras
import numpy as np

from keras_kd.checks import check_number
from keras_kd.losses.formula.to_rank import to_rank

# A probability of 0 counts as float32's smallest normal number, so that a wrong label costs 87.3
# nats and not infinitely many.
_LEAST = math.log(1.2e-38)


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """Positions that have a label: examples, or the tokens or pixels of examples.

    Attributes:
        log_p: Logarithms of the teacher's probabilities, `(N, C)`.
        labels: Array `(N,)` of whole numbers from 0 to C - 1.
        weights: Array `(N,)`, above 0.
    """

    log_p: np.ndarray
    labels: np.ndarray
    weights: np.ndarray

    def rows(self, rows: slice | np.ndarray) -> HeldOut:
        """Returns some of them."""
        return HeldOut(self.log_p[rows], self.labels[rows], self.weights[rows])

    def parted(self, share: float, seed: int) -> tuple[HeldOut, HeldOut]:
        """Returns those that teach a mapping, and those that judge it, drawn by the seed.

        Args:
            share: What part of them judges; with 0 all do both.
            seed: Of the draw.

        Raises:
            ValueError: If a share above 0 leaves one side without any.
        """
        if not share:
            return self, self
        count = len(self.labels)
        judging = round(share * count)
        if not 0 < judging < count:
            raise ValueError(
                "`validation_split` must leave examples on both sides. "
                f"Received: validation_split={share}, {count} examples"
            )
        order = np.random.default_rng(seed).permutation(count)
        return self.rows(order[judging:]), self.rows(order[:judging])


def check_split(validation_split) -> float | None:
    """Returns `validation_split` if it is a number from 0 to below 1, or None."""
    if validation_split is None:
        return None
    share = check_number("validation_split", validation_split, least=0.0)
    if share >= 1.0:
        raise ValueError(
            "`validation_split` must be below 1, or nothing would teach. "
            f"Received: validation_split={validation_split!r}"
        )
    return share


def positions(logits, labels, mask=None, sample_weight=None) -> HeldOut:
    """Returns the positions of a batch that have a weight.

    Args:
        logits: Array `(..., C)`.
        labels: Whole numbers `(...)` or `(..., 1)`, or one-hot rows `(..., C)`.
        mask: True where a position is real, or None.
        sample_weight: Weights of examples or of positions, or None.

    Raises:
        ValueError: If the labels are none, or not those of these classes.
    """
    logits = np.asarray(keras.ops.convert_to_numpy(logits), "float64")
    labels = _whole_labels(labels, logits.shape)
    weights = position_weights(labels.shape, mask, sample_weight)
    counted = weights > 0.0
    labels, classes = labels[counted], logits.shape[-1]
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        raise ValueError(
            f"Labels from 0 to {classes - 1} were expected for these outputs; a position that has "
            "none gets a sample weight of 0. "
            f"Received: labels with {np.unique(labels[wrong])[:5].tolist()}"
        )
    log_p = np.maximum(log_probabilities(logits[counted]), _LEAST)
    return HeldOut(log_p.astype("float32"), labels, weights[counted])


def joined(parts: Sequence[HeldOut]) -> HeldOut:
    """Returns the positions of several batches as one.

    Raises:
        ValueError: If there is none, or an output is no number.
    """
    fields = [[getattr(part, name) for part in parts] for name in ("log_p", "labels", "weights")]
    found = HeldOut(*(np.concatenate(each) for each in fields))
    if not len(found.labels):
        raise ValueError(
            "Labelled examples of a weight above 0 were expected. Received: weights of 0 only"
        )
    broken = int(np.isnan(found.log_p).any(axis=-1).sum())
    if broken:
        raise ValueError(f"The teacher's outputs must be numbers. Received: NaN in {broken} rows")
    return found


def log_probabilities(logits) -> np.ndarray:
    """Returns the log-probabilities of logits `(N, C)`, in float64."""
    logits = np.asarray(logits, "float64")
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def position_weights(shape, mask=None, sample_weight=None) -> np.ndarray:
    """Returns the weights of positions of that shape, 0 where a mask is False.

    Args:
        shape: Of the labels, the batch first.
        mask: Tensor whose axes are the first of these, or None.
        sample_weight: Likewise.
    """
    weights = np.ones(shape, "float32")
    for each in (mask, sample_weight):
        if each is not None:
            each = keras.ops.cast(keras.ops.convert_to_tensor(each), "float32")
            weights = weights * np.asarray(keras.ops.convert_to_numpy(to_rank(each, len(shape))))
    return weights


def _whole_labels(labels, shape):
    if labels is None:
        raise ValueError("Labels were expected beside the inputs. Received: labels=None")
    labels = np.asarray(keras.ops.convert_to_numpy(labels))
    classes = shape[-1]
    if labels.shape == shape and classes > 1:
        one_hot = np.isin(labels, (0, 1)).all() and (labels.sum(axis=-1) == 1).all()
        if one_hot:
            return labels.argmax(axis=-1)
    elif labels.shape in (shape[:-1], (*shape[:-1], 1)):
        labels = labels.reshape(shape[:-1])
        if np.issubdtype(labels.dtype, np.number) and (labels == np.round(labels)).all():
            return labels.astype("int64")
    raise ValueError(
        "A mapping is learned on labels of classes: whole numbers, or one-hot rows. "
        f"Received: labels of shape {labels.shape} and dtype {labels.dtype}, outputs of shape "
        f"{tuple(shape)}"
    )
