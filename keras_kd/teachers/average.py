"""The average of several models' outputs."""

import functools
import math

import keras
from keras import ops

from keras_kd.losses.formula.keras_mask import both_real

AVERAGES = ("probabilities", "logits", "vote")
_SMALLEST = 1.2e-38  # float32's smallest normal number: log of it is finite


class Average(keras.layers.Layer):
    """Averages a list of outputs `(..., C)`, in float32; it masks what one of them masks.

    Args:
        weights: One number for each output, that sum to 1.
        average: One of `AVERAGES`.
        activation: `"softmax"` or `"sigmoid"`, how logits become probabilities.
        from_logits: For each output True (logits), False (probabilities) or None (unknown).
        name: The layer's name.

    Attributes:
        gives_logits: Whether the average is logits (True), probabilities (False) or as unknown as
            what it averages (None).
    """

    def __init__(self, weights, *, average, activation, from_logits, name):
        super().__init__(name=name, dtype="float32")
        self.member_weights, self.average, self.activation = weights, average, activation
        self.from_logits = from_logits
        if average == "vote":
            self.gives_logits = False
        elif average == "probabilities":
            self.gives_logits = True
        else:
            self.gives_logits = None if None in from_logits else True

    def call(self, outputs):
        """Returns the average."""
        return getattr(self, f"_{self.average}")(outputs)

    def compute_mask(self, outputs, previous_mask):
        """Returns where all outputs are real, or None where none is masked."""
        return functools.reduce(both_real, keras.tree.flatten(previous_mask), None)

    def shares(self):
        """Returns each output's weight and its logarithm, of those that have one."""
        return [(w, math.log(w) if w > 0.0 else None) for w in self.member_weights]

    def _vote(self, outputs):
        return sum(
            weight * self._choice(value, kind)
            for (weight, _), (value, kind) in zip(
                self.shares(), self._members(outputs), strict=True
            )
        )

    def _choice(self, value, is_logits):
        if self.activation == "sigmoid":
            return ops.cast(value > (0.0 if is_logits is not False else 0.5), "float32")
        first = ops.top_k(value, 1)[1][..., 0]  # Keras' argmax takes what LiteRT does not have
        return ops.one_hot(first, value.shape[-1], dtype="float32")

    def _logits(self, outputs):
        values = [
            log_odds(value, self.activation) if is_logits is False else value
            for value, is_logits in self._members(outputs)
        ]
        return sum(w * value for (w, _), value in zip(self.shares(), values, strict=True))

    def _probabilities(self, outputs):
        yes = self._log_mean([self._log_p(*each) for each in self._members(outputs)])
        if self.activation == "softmax":
            return yes
        no = self._log_mean([self._log_p(*each, sign=-1.0) for each in self._members(outputs)])
        return yes - no

    def _members(self, outputs):
        return zip(outputs, self.from_logits, strict=True)

    def _log_p(self, value, is_logits, sign=1.0):
        if not is_logits:
            value = log_odds(value, self.activation)
        if self.activation == "softmax":
            return ops.log_softmax(value, axis=-1)
        return ops.log_sigmoid(sign * value)

    def _log_mean(self, log_ps):
        weighted = [
            log_p + log_weight
            for (_, log_weight), log_p in zip(self.shares(), log_ps, strict=True)
            if log_weight is not None
        ]
        return ops.logsumexp(ops.stack(weighted, axis=-1), axis=-1)


def log_odds(probabilities, activation, smallest=_SMALLEST):
    """Returns logits whose softmax, or sigmoid, the probabilities are.

    Args:
        probabilities: `(..., C)`, float32.
        activation: `"softmax"` or `"sigmoid"`.
        smallest: What a smaller probability is taken for.
    """
    log_p = ops.log(ops.maximum(probabilities, smallest))
    if activation == "softmax":
        return log_p
    return log_p - ops.log(ops.maximum(1.0 - probabilities, smallest))
