"""The average of several models' outputs."""

import math

import keras
from keras import ops

AVERAGES = ("probabilities", "logits", "vote")
_SMALLEST = 1.2e-38  # float32's smallest normal number: log of it is finite


class Average(keras.layers.Layer):
    """Averages a list of outputs `(..., C)`, in float32.

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

    def _vote(self, outputs):
        return sum(
            weight * self._choice(value, kind)
            for weight, value, kind in zip(
                self.member_weights, outputs, self.from_logits, strict=True
            )
        )

    def _choice(self, value, is_logits):
        if self.activation == "sigmoid":
            return ops.cast(value > (0.0 if is_logits is not False else 0.5), "float32")
        return ops.one_hot(ops.argmax(value, axis=-1), value.shape[-1], dtype="float32")

    def _logits(self, outputs):
        values = [
            self._log_odds(value) if is_logits is False else value
            for value, is_logits in zip(outputs, self.from_logits, strict=True)
        ]
        return sum(w * value for w, value in zip(self.member_weights, values, strict=True))

    def _log_odds(self, probabilities):
        log_p = ops.log(ops.maximum(probabilities, _SMALLEST))
        if self.activation == "softmax":
            return log_p
        return log_p - ops.log(ops.maximum(1.0 - probabilities, _SMALLEST))

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
            value = self._log_odds(value)
        if self.activation == "softmax":
            return ops.log_softmax(value, axis=-1)
        return ops.log_sigmoid(sign * value)

    def _log_mean(self, log_ps):
        weighted = [
            log_p + math.log(weight)
            for weight, log_p in zip(self.member_weights, log_ps, strict=True)
            if weight > 0.0
        ]
        return ops.logsumexp(ops.stack(weighted, axis=-1), axis=-1)
