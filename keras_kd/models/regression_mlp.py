"""A multi-layer perceptron that returns numbers."""

from collections.abc import Sequence

import keras


def regression_mlp(
    num_features: int,
    num_outputs: int = 1,
    hidden: Sequence[int] = (32, 16),
    *,
    dropout: float = 0.0,
    name: str = "regression_mlp",
) -> keras.Model:
    """Builds a multi-layer perceptron from a row of features to real values.

    Layers: `hidden1`, `hidden2`, ... with ReLU, and `values`, in float32 under mixed precision too.
    Features are taken as they are; bring them to mean 0 and variance 1 first.

    Args:
        num_features: Features of an example.
        num_outputs: How many numbers the model returns.
        hidden: Units of each hidden layer.
        dropout: Share of each hidden layer's units that is dropped in training (layers `dropout1`,
            `dropout2`, ...).
        name: Name of the model.

    Returns:
        An uncompiled functional model from features `(batch, num_features)` to values
        `(batch, num_outputs)`.

    Example:

    >>> from keras_kd.models import regression_mlp
    >>> regression_mlp(10, hidden=(4,)).output_shape
    (None, 1)
    """
    inputs = x = keras.Input((num_features,), name="features")
    for number, units in enumerate(hidden, start=1):
        x = keras.layers.Dense(units, "relu", name=f"hidden{number}")(x)
        if dropout:
            x = keras.layers.Dropout(dropout, name=f"dropout{number}")(x)
    outputs = keras.layers.Dense(num_outputs, dtype="float32", name="values")(x)
    return keras.Model(inputs, outputs, name=name)
