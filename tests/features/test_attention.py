"""Reading attention where it is computed, against softmax(Q K^T / sqrt d) in NumPy."""

import sys

import keras
import numpy as np
import pytest
from attention_in_numpy import (
    WIDTH,
    B,
    T,
    X,
    array,
    assert_reads,
    both_kinds,
    logits_and_scores,
    multi_head,
    read,
)
from keras import layers, ops

from keras_kd.features import Tap
from keras_kd.features.attention import find_attention
from keras_kd.features.layer_tree import find_layer
from keras_kd.features.recording import Recording, watch

pytestmark = pytest.mark.core


class Subclassed(keras.Model):
    def __init__(self, kind):
        super().__init__()
        self.attention = kind()

    def call(self, x):
        return self.attention(x, value=x)


def functional(kind):
    inputs = keras.Input((T, WIDTH))
    return keras.Model(inputs, kind()(inputs, inputs))


def nested(kind):
    inputs = keras.Input((T, WIDTH))
    return keras.Model(inputs, functional(kind)(inputs))


@pytest.mark.alike
@both_kinds
@pytest.mark.parametrize("make", [functional, Subclassed, nested])
def test_models_of_every_kind_are_read(make, kind):
    model = make(kind)
    model(X)
    tap = Tap("attention", side="attention_scores")
    layer = find_attention(model, find_layer(model, "attention", "student"), tap, "student")
    found, mask = read(model, layer, X)
    assert mask is None
    assert_reads(found, layer, X)


@both_kinds
def test_what_the_layer_gives_stays_the_same(kind):
    layer = kind()
    expected = array(layer(X, X))
    with_scores, kept = layer(X, X, return_attention_scores=True)
    read(layer, layer, X, X)
    with Recording():
        recorded = layer(X, X)
        asked = layer(X, X, return_attention_scores=True)
    np.testing.assert_allclose(array(recorded), expected, atol=1e-6)
    np.testing.assert_allclose(array(asked[0]), array(with_scores), atol=1e-6)
    np.testing.assert_allclose(array(asked[1]), array(kept), atol=1e-6)


@both_kinds
def test_the_fused_path_is_left_for_a_recording_only(kind, monkeypatch):
    fused = []
    keras_ops = sys.modules[type(kind()).__module__].ops
    fuse = keras_ops.dot_product_attention
    monkeypatch.setattr(
        keras_ops, "dot_product_attention", lambda *a, **k: fused.append(1) or fuse(*a, **k)
    )
    layer = kind()
    layer(X, X)
    watch(layer, "attention_scores")
    layer(X, X)
    assert len(fused) == 2
    read(layer, layer, X, X)
    assert len(fused) == 2
    layer(X, X)
    assert len(fused) == 3


@both_kinds
def test_the_flash_flag_is_restored(kind):
    layer = kind(flash_attention=True)
    layer.build((B, T, WIDTH), (B, T, WIDTH))
    found, _ = read(layer, layer, X, X)
    assert layer._flash_attention is True
    assert getattr(layer, "_return_attention_scores", False) is False
    assert_reads(found, layer, X)


@pytest.mark.alike
def test_the_flash_flag_is_restored_after_an_error():
    layer = multi_head(flash_attention=True)
    layer.build((B, T, WIDTH), (B, T, WIDTH))
    watch(layer, "attention_scores")
    with pytest.raises(Exception, match=r".+"), Recording():
        layer(X, X, attention_mask=np.ones((B, T + 1, T + 2), bool))
    assert layer._flash_attention is True


@both_kinds
def test_a_causal_mask_is_seen(kind):
    layer = kind()
    found, mask = read(layer, layer, X, X, use_causal_mask=True)
    assert mask is None or array(mask).all()
    assert_reads(found, layer, X, mask=np.tril(np.ones((T, T), bool)))


@both_kinds
@pytest.mark.parametrize("causal", [False, True])
def test_padding_is_seen_and_told(kind, causal):
    tokens = np.array([[3, 1, 2, 0, 0], [1, 2, 3, 4, 0]])
    inputs = keras.Input((T,), dtype="int32")
    embedding = layers.Embedding(5, WIDTH, mask_zero=True)
    layer = kind()
    embedded = embedding(inputs)
    model = keras.Model(inputs, layer(embedded, embedded, use_causal_mask=causal))
    found, mask = read(model, layer, tokens)
    real = tokens > 0
    np.testing.assert_array_equal(array(mask), real)
    allowed = real[:, None, :] & (np.tril(np.ones((T, T), bool)) if causal else True)
    x = array(embedding(tokens))
    expected_logits, expected = logits_and_scores(layer, x, mask=allowed[:, None])
    np.testing.assert_allclose(array(found[1]), expected_logits, atol=1e-5)
    rows = np.broadcast_to(real[:, None, :, None], expected.shape)  # of padding Keras masks all
    np.testing.assert_allclose(array(found[0]) * rows, expected * rows, atol=1e-5)


@both_kinds
@pytest.mark.parametrize("shape", [(B, T, T), (B, 1, T), (1, T, T)], ids=str)
def test_an_attention_mask_of_keys_tells_padding(kind, shape):
    mask = np.broadcast_to(np.array([1, 1, 1, 0, 0], bool), shape)
    layer = kind()
    found, real = read(layer, layer, ops.array(X), ops.array(X), attention_mask=mask)
    assert_reads(found, layer, X, mask=np.broadcast_to(mask, (B, T, T))[:, None])
    assert real is not None
    x = ops.array(X)
    _, real = read(layer, layer, x, x, attention_mask=mask)
    np.testing.assert_array_equal(array(real), [[1, 1, 1, 0, 0]] * B)


@pytest.mark.alike
@both_kinds
@pytest.mark.parametrize("length", [T, 3])
def test_keys_of_another_sequence_say_nothing_of_the_queries(kind, length):
    # Also where both sequences happen to be as long.
    value = np.random.default_rng(1).normal(size=(B, length, WIDTH)).astype("float32")
    mask = np.ones((B, T, length), bool)
    mask[:, :, -1] = False
    layer = kind()
    found, real = read(layer, layer, ops.array(X), ops.array(value), attention_mask=mask)
    assert array(real).all()
    assert_reads(found, layer, X, value, mask=mask[:, None])


@both_kinds
def test_dropout_in_training_does_not_reach_the_scores(kind):
    layer = kind(dropout=0.5)
    layer.build((B, T, WIDTH), (B, T, WIDTH))
    found, _ = read(layer, layer, X, X, training=True)
    assert_reads(found, layer, X)
    first, second = (array(layer(X, X, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 1e-3


@pytest.mark.alike
def test_a_layer_that_runs_twice_is_read_by_call():
    layer = multi_head()
    inputs = keras.Input((T, WIDTH))
    model = keras.Model(inputs, layer(layer(inputs, inputs), inputs))
    first = array(layer(X, X))
    assert_reads(read(model, layer, X, call=0)[0], layer, X)
    assert_reads(read(model, layer, X, call=1)[0], layer, first, X)
    with pytest.raises(ValueError, match=r"runs 2 times.*call=0\) to Tap"):
        read(model, layer, X)


def test_half_precision_gives_logits_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    layer = multi_head()
    inputs = keras.Input((T, WIDTH))
    hidden = layers.Dense(WIDTH, name="dense")(inputs)
    model = keras.Model(inputs, [hidden, layer(hidden, hidden)])
    (scores, logits, parts), _ = read(model, layer, 10.0 * X)
    dtypes = [keras.backend.standardize_dtype(x.dtype) for x in (scores, logits, parts["key"])]
    assert dtypes == ["float16", "float32", "float16"]
    hidden = array(model(10.0 * X)[0])
    expected_logits, expected = logits_and_scores(layer, hidden)
    np.testing.assert_allclose(array(logits), expected_logits, rtol=5e-2, atol=5e-2)
    np.testing.assert_allclose(array(scores), expected, atol=3e-2)


@pytest.mark.alike
def test_attention_over_two_axes_is_refused():
    layer = layers.MultiHeadAttention(2, 3, attention_axes=(1, 2), name="attention")
    watch(layer, "attention_scores")
    x = np.ones((2, 3, 3, 4), "float32")
    layer(x, x)
    with pytest.raises(ValueError, match=r"over one axis.*shape \(2, 3, 3, 2, 3\)"), Recording():
        layer(x, x)
