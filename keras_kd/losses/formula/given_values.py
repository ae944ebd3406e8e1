"""Keras' reduction, for values that are already there."""

import keras
from keras import ops


class GivenValues(keras.losses.Loss):
    """Reduces the values it is given as every Keras loss does, scaling over replicas included.

    Call arguments: the values, twice, and optional weights of their shape.
    """

    def call(self, y_true, y_pred):
        """Returns the values."""
        return y_pred


def replica_share():
    """Keras' scaling of a mean over replicas: 1 / their number."""
    return GivenValues()(ops.ones((1,)), ops.ones((1,)))
