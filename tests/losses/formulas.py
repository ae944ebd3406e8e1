"""Float64 NumPy from which the tests build each paper's formula, apart from the library."""

import numpy as np


def log_softmax(z):
    shifted = z - z.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def softmax(z):
    return np.exp(log_softmax(z))


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def per_sample(values):
    """The mean of everything that belongs to a sample."""
    return values.reshape(len(values), -1).mean(axis=1)


def positions(attention):
    """Attention maps as one unit vector a sample."""
    flat = attention.reshape(len(attention), -1)
    return flat / np.linalg.norm(flat, axis=1, keepdims=True)
