"""Attention layers and what they compute, from their weights in float64 NumPy."""

import keras
import numpy as np
from formulas import softmax
from keras import layers, ops
from variants import first_of

from keras_kd.features import Tap
from keras_kd.features.recording import Recording, watch

B, T, WIDTH, HEADS, SIZE = 2, 5, 6, 4, 3
X = np.random.default_rng(0).normal(size=(B, T, WIDTH)).astype("float32")
SIDES = ("attention_scores", "attention_logits", "attention_vectors")


def multi_head(**kwargs):
    return layers.MultiHeadAttention(HEADS, SIZE, **{"name": "attention", **kwargs})


def grouped(**kwargs):
    return layers.GroupQueryAttention(SIZE, HEADS, 2, **{"name": "attention", **kwargs})


both_kinds = first_of("kind", [multi_head, grouped])


def array(x):
    return np.asarray(ops.convert_to_numpy(ops.cast(x, "float32")), "float64")


def vectors(layer, query, value):
    """Queries, keys and values `(B, T, heads, size)` from the layer's weights."""
    found = []
    sources = (query, value, value)
    for x, dense in zip(
        sources, (layer._query_dense, layer._key_dense, layer._value_dense), strict=True
    ):
        kernel, bias = (array(w) for w in dense.weights)
        projected = np.einsum("btd,dnh->btnh", np.asarray(x, "float64"), kernel) + bias
        found.append(np.repeat(projected, HEADS // projected.shape[2], axis=2))
    return found


def logits_and_scores(layer, query, value=None, mask=None):
    q, k, _ = vectors(layer, query, query if value is None else value)
    logits = np.einsum("btnh,bsnh->bnts", q, k) / np.sqrt(SIZE)
    hidden = 0.0 if mask is None else np.where(mask, 0.0, -1e9)
    return logits, softmax(logits + hidden)


def read(model, layer, *inputs, call=None, **kwargs):
    """What each side reads in one run of `model`, and the mask of real positions."""
    for side in SIDES:
        watch(layer, side)
    with Recording() as recording:
        model(*inputs, **kwargs)
    taps = [Tap("attention", side=side, call=call) for side in SIDES]
    return [recording.value(layer, tap) for tap in taps], recording.mask(layer, taps[0])


def assert_reads(read_values, layer, query, value=None, mask=None):
    atol = 1e-5
    scores, logits, parts = read_values
    expected_logits, expected_scores = logits_and_scores(layer, query, value, mask)
    np.testing.assert_allclose(array(logits), expected_logits, atol=atol)
    np.testing.assert_allclose(array(scores), expected_scores, atol=atol)
    expected = vectors(layer, query, query if value is None else value)
    assert list(parts) == ["query", "key", "value"]
    for got, wanted in zip(parts.values(), expected, strict=True):
        np.testing.assert_allclose(array(got), wanted, atol=atol)


@keras.saving.register_keras_serializable(package="attention_tests")
class Block(layers.Layer):
    """Self-attention inside a layer, which a functional model does not see into."""

    def __init__(self, kind="multi_head", width=WIDTH, **kwargs):
        super().__init__(**kwargs)
        self.kind, self.width = kind, width
        self.attention = (grouped if kind == "grouped" else multi_head)()
        self.norm = layers.LayerNormalization()

    def build(self, shape):
        self.attention.build(shape, shape)
        self.norm.build(shape)

    def call(self, x):
        return self.norm(x + self.attention(x, x))

    def get_config(self):
        return {**super().get_config(), "kind": self.kind, "width": self.width}
