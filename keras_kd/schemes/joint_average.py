"""The average of models that train together, whose weights train with them."""

import keras
from keras import ops

from keras_kd.teachers.average import Average, log_odds

_SMALLEST_SHARE = 1e-7  # what Keras' own losses take a smaller probability for


class JointAverage(Average):
    """Averages outputs that are logits into logits, votes too.

    Args:
        count: How many outputs there are.
        learn_weights: Whether the weights train, as the softmax of a vector that begins at 0.
        **kwargs: `average`, `activation`, `from_logits` and `name` of an `Average`.
    """

    def __init__(self, count, *, learn_weights, **kwargs):
        super().__init__([1.0 / count] * count, **kwargs)
        self.vector = None
        if learn_weights:
            self.vector = self.add_weight(
                shape=(count,), initializer="zeros", autocast=False, name="mixing"
            )
        if self.average == "vote":
            self.gives_logits = True
        self.built = True

    def call(self, outputs):
        """Returns the average; of votes the logits whose softmax, or sigmoid, are the shares."""
        value = super().call(outputs)
        if self.average != "vote":
            return value
        return log_odds(value, self.activation, _SMALLEST_SHARE)

    def shares(self):
        """Returns each output's weight and its logarithm."""
        if self.vector is None:
            return super().shares()
        logs = ops.log_softmax(self.vector)
        return [(ops.exp(logs[n]), logs[n]) for n in range(len(self.member_weights))]


class AsLogits(keras.layers.Layer):
    """Gives a model's output as logits, in float32; its mask goes on.

    Args:
        is_logits: Whether the output is logits (True), probabilities (False) or unknown (None),
            which is left as it is.
        activation: `"softmax"` or `"sigmoid"`, what made the probabilities.
    """

    def __init__(self, is_logits, activation):
        super().__init__(dtype="float32")
        self.is_logits, self.activation = is_logits, activation
        self.supports_masking = True
        self.built = True

    def call(self, output):
        """Returns the logits."""
        return log_odds(output, self.activation) if self.is_logits is False else output
