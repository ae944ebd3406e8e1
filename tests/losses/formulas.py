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


def top_k_labels(logits, k):
    """The k largest probabilities, their classes and the mass that remains, in logarithms."""
    log_p = log_softmax(np.asarray(logits, "float64"))
    order = np.argsort(-log_p, axis=-1, kind="stable")
    ranked = np.take_along_axis(log_p, order, axis=-1)
    with np.errstate(divide="ignore"):
        rest = np.log(np.exp(ranked[..., k:]).sum(axis=-1))
    indices = order[..., :k].astype("int32")
    return {"log_probabilities": ranked[..., :k], "indices": indices, "log_rest": rest}


def spread(labels, classes):
    """The logits that top-k labels stand for: what remains is even over the other classes."""
    k = labels["indices"].shape[-1]
    each = labels["log_rest"] - np.log(max(classes - k, 1))
    logits = np.repeat(each[..., None], classes, axis=-1)
    np.put_along_axis(logits, labels["indices"], labels["log_probabilities"], axis=-1)
    return logits
