"""A plain multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


def mlp(
    input_shape: Sequence[int],
    num_classes: int,
    hidden: Sequence[int] = (800, 800),
    *,
    dropout: float = 0.0,
    input_dropout: float = 0.0,
    kernel_constraint: Any = None,
    name: str = "mlp",
) -> keras.Model:
    """Builds a multi-layer perceptron of ReLU layers.

    Layers: `rescaling`, `flatten`, then `hidden1`, `hidden2`, ... and `logits`. Inputs are in
    0..255; the rescaling to 0..1 is inside. The logits are float32 under mixed precision too.

    Args:
        input_shape: Shape of one example, such as `(28, 28, 1)`.
        num_classes: How many logits the model returns.
        hidden: Units of each hidden layer.
        dropout: Share of each hidden layer's units that is dropped in training (layers `dropout1`,
            `dropout2`, ...).
        input_dropout: Share of the inputs that is dropped in training (layer `input_dropout`).
        kernel_constraint: A `keras.constraints.Constraint` on the kernels of the hidden layers.
        name: Name of the model.

    Returns:
        An uncompiled functional model from a batch of inputs to logits `(batch, num_classes)`.

    Example:

    >>> from keras_kd.models import mlp
    >>> mlp((8, 8, 1), 10, hidden=(16,)).count_params()  # 64 * 16 + 16 + 16 * 10 + 10
    1210

    Reference:
        The sizes `(1200, 1200)` and `(800, 800)` on MNIST are those of Hinton, Vinyals and Dean,
        "Distilling the Knowledge in a Neural Network", 2015.
    """
    inputs = keras.Input(tuple(input_shape), name="image")
    x = keras.layers.Rescaling(1.0 / 255.0, name="rescaling")(inputs)
    x = keras.layers.Flatten(name="flatten")(x)
    if input_dropout:
        x = keras.layers.Dropout(input_dropout, name="input_dropout")(x)
    for number, units in enumerate(hidden, start=1):
        x = keras.layers.Dense(
            units, "relu", kernel_constraint=kernel_constraint, name=f"hidden{number}"
        )(x)
        if dropout:
            x = keras.layers.Dropout(dropout, name=f"dropout{number}")(x)
    outputs = keras.layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(inputs, outputs, name=name)
