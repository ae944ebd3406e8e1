"""The Kullback-Leibler divergence of softmax distributions, without cancellation.

    KL(p, q) = sum_c p_c phi(d_c),   d = log q - log p,   phi(d) = e^d - 1 - d

Since p and q each sum to 1 this is sum_c p_c (log p_c - log q_c); but all its terms are positive,
where those of the other sum cancel: near agreement, and at high temperatures, that sum is rounding.
"""

import math

import keras
from keras import ops

_NEAR = 0.25  # below it e^d - 1 - d cancels, and a series takes its place
_TERMS = {"float64": 12}  # as many as the dtype can tell
_FEWER_TERMS = 6


def softened_divergence(p_logits, q_logits, temperature):
    """Returns KL(p, q) over the last axis, p and q the softmax of the logits over `temperature`.

    What a step keeps for its gradient is the two tensors of logits and one number a row.

    Args:
        p_logits: Tensor `(..., C)`. A class of p = 0 has a logit of about -1e30.
        q_logits: Tensor of its shape.
        temperature: A number or a scalar tensor, above 0.

    Returns:
        Tensor `(...)`.
    """
    temperature = ops.convert_to_tensor(temperature, dtype=p_logits.dtype)
    return _divergence(p_logits, q_logits, temperature)


def coins_divergence(p_logits, q_logits, temperature=1.0):
    """Returns, for each pair of logits, the divergence of the two coins, `sigmoid` of them."""
    logits = (ops.stack([z, ops.zeros_like(z)], axis=-1) for z in (p_logits, q_logits))
    return softened_divergence(*logits, temperature)


def divergence_from(p, q, d):
    """Returns sum_c p phi(d) over the last axis, and by how much q falls short of a sum of 1.

    Args:
        p: A distribution `(..., C)`.
        q: The other one.
        d: log q - log p, right to the last digits where it is small.
    """
    near, small = _near(d)
    first_order = p * small
    phi = first_order * small * _series(small)
    away = q - p
    divergence = ops.sum(ops.where(near, phi, away - p * d), axis=-1)
    rest = ops.sum(ops.where(near, first_order + phi, away), axis=-1)
    # What rounding the logarithms of the sums adds to every d alike: log(1 + rest) - rest.
    return divergence - 0.5 * rest * rest, rest


@ops.custom_gradient
def _divergence(p_logits, q_logits, temperature):
    value, rest = divergence_from(*softened_pair(p_logits, q_logits, temperature))

    def gradient(*arguments, upstream=None):
        upstream = arguments[0] if upstream is None else upstream
        p, q, d = softened_pair(p_logits, q_logits, temperature)
        d = d - rest[..., None]
        near, small = _near(d)
        towards_q = ops.where(near, p * ops.expm1(small), q - p)
        scale = upstream[..., None] / temperature
        to_p, to_q = scale * p * (-d - value[..., None]), scale * towards_q
        to_temperature = -ops.sum(p_logits * to_p + q_logits * to_q) / temperature
        return to_p, to_q, to_temperature

    return value, gradient


def softened_pair(p_logits, q_logits, temperature):
    """Returns p, q and log q - log p, whose rounding is one number for all classes."""
    largest = [ops.max(z, axis=-1, keepdims=True) for z in (p_logits, q_logits)]
    powers = [
        ops.exp((z - top) / temperature)
        for z, top in zip((p_logits, q_logits), largest, strict=True)
    ]
    sums = [ops.sum(power, axis=-1, keepdims=True) for power in powers]
    p, q = (power / total for power, total in zip(powers, sums, strict=True))
    d = ((q_logits - p_logits) - (largest[1] - largest[0])) / temperature
    return p, q, d - ops.log(sums[1] / sums[0])


def _near(d):
    """Where d is small, and d there with 0 elsewhere."""
    near = ops.abs(d) < _NEAR
    return near, ops.where(near, d, ops.zeros_like(d))


def _series(x):
    """Returns (e^x - 1 - x) / x^2 = 1/2! + x/3! + x^2/4! ..."""
    terms = _TERMS.get(keras.backend.standardize_dtype(x.dtype), _FEWER_TERMS)
    total = 1.0 / math.factorial(terms + 1)
    for number in reversed(range(2, terms + 1)):
        total = total * x + 1.0 / math.factorial(number)
    return total
