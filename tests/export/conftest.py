"""Small students of every build, with random weights."""

import keras
import numpy as np
import pytest

layers = keras.layers


@pytest.fixture
def images():
    random = np.random.default_rng(0)
    return random.normal(size=(50, 8, 8, 1)).astype("float32"), random.integers(0, 4, 50)


@pytest.fixture
def classifier():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            layers.Conv2D(8, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4, activation="softmax"),
        ],
        name="classifier",
    )


@pytest.fixture
def two_by_two():
    """Inputs and outputs by name, both in an order that is not the alphabet's."""
    zeta, alpha = keras.Input((4,), name="zeta"), keras.Input((3,), name="alpha")
    x = layers.Concatenate()([layers.Dense(8, activation="gelu")(zeta), alpha])
    outputs = {"wide": layers.Dense(3)(x), "narrow": layers.Dense(1)(x)}
    model = keras.Model({"zeta": zeta, "alpha": alpha}, outputs, name="two_by_two")
    random = np.random.default_rng(0)
    return model, {"alpha": random.normal(size=(9, 3)), "zeta": random.normal(size=(9, 4))}


@pytest.fixture
def reader():
    """Takes sequences of token ids of any length."""
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = layers.Embedding(50, 8)(tokens)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4)(x, x))
    x = layers.Dense(3)(layers.GlobalAveragePooling1D()(x))
    return keras.Model(tokens, x, name="reader")
