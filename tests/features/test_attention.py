"""Reading attention where it is computed, against softmax(Q K^T / sqrt d) in NumPy."""

import sys

import keras
import numpy as np
import pytest
from formulas import softmax
from keras import layers, ops
from models_for_tests import cross_entropy

from keras_kd import Distiller
from keras_kd.features import Tap
from keras_kd.features.attention import find_attention
from keras_kd.features.layer_tree import find_layer
from keras_kd.features.recording import Recording, watch
from keras_kd.losses import DistillationLoss

pytestmark = pytest.mark.core
B, T, WIDTH, HEADS, SIZE = 2, 5, 6, 4, 3
X = np.random.default_rng(0).normal(size=(B, T, WIDTH)).astype("float32")
SIDES = ("attention_scores", "attention_logits", "attention_vectors")


def multi_head(**kwargs):
    return layers.MultiHeadAttention(HEADS, SIZE, **{"name": "attention", **kwargs})


def grouped(**kwargs):
    return layers.GroupQueryAttention(SIZE, HEADS, 2, **{"name": "attention", **kwargs})


both_kinds = pytest.mark.parametrize("kind", [multi_head, grouped])


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


def test_attention_over_two_axes_is_refused():
    layer = layers.MultiHeadAttention(2, 3, attention_axes=(1, 2), name="attention")
    watch(layer, "attention_scores")
    x = np.ones((2, 3, 3, 4), "float32")
    layer(x, x)
    with pytest.raises(ValueError, match=r"over one axis.*shape \(2, 3, 3, 2, 3\)"), Recording():
        layer(x, x)


# In a Distiller.


@keras.saving.register_keras_serializable(package="attention_tests")
class Probe(DistillationLoss):
    """Compares what one side reads, heads averaged away."""

    def __init__(self, side="attention_scores", **kwargs):
        super().__init__(**kwargs)
        self.read = side

    @property
    def side(self):
        return self.read

    def call(self, teacher_value, student_value, mask=None):
        if isinstance(student_value, dict):
            return sum(
                ops.mean(ops.square(teacher_value[k] - student_value[k]), axis=(1, 2, 3))
                for k in ("query", "key", "value")
            )
        means = [ops.mean(value, axis=1) for value in (teacher_value, student_value)]
        difference = ops.mean(ops.square(means[0] - means[1]), axis=-1)
        keep = ops.ones_like(difference) if mask is None else ops.cast(mask, difference.dtype)
        return ops.divide_no_nan(ops.sum(difference * keep, -1), ops.sum(keep, -1))

    def get_config(self):
        return {**super().get_config(), "side": self.read}


def classifier(seed, attend, name):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((T,), dtype="int32")
    spread = keras.initializers.RandomNormal(stddev=1.0)
    x = layers.Embedding(9, WIDTH, mask_zero=True, embeddings_initializer=spread)(inputs)
    x = attend(x)
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(3)(x), name=name)


def attending(seed, name, kind=multi_head, **kwargs):
    layer = kind(**kwargs)
    return classifier(seed, lambda x: x + layer(x, x), name)


def blocked(seed, name, *names, kind="multi_head"):
    def attend(x):
        for block in names:
            x = Block(kind, name=block)(x)
        return x

    return classifier(seed, attend, name)


def tokens(count=8):
    x = np.random.default_rng(3).integers(1, 9, (count, T))
    x[::2, 3:] = 0
    return x, np.arange(count) % 3


@pytest.mark.parametrize(
    "side, kind, jit_compile",
    [
        ("attention_scores", multi_head, False),
        ("attention_logits", grouped, False),
        ("attention_vectors", multi_head, False),
        ("attention_scores", grouped, True),
    ],
)
def test_the_distiller_compares_attention(side, kind, jit_compile):
    student, teacher = attending(0, "student", kind, dropout=0.1), attending(1, "teacher", kind)
    loss = Probe(side, layers={"attention": "attention"}, name="probe")
    distiller = Distiller(student, teacher, alpha=0.0, kd_loss=None, feature_losses=[loss])
    x, y = tokens()
    values = []
    for model in (teacher, student):
        layer = model.get_layer("attention")
        found, mask = read(model, layer, x)
        values.append(found[SIDES.index(side)])
    mask = None if side == SIDES[2] else mask
    expected = float(loss(*values, mask=mask))
    distiller.compile(keras.optimizers.SGD(0.0), jit_compile=jit_compile)
    history = distiller.fit(x, y, batch_size=8, verbose=0).history
    assert history["probe"] == [pytest.approx(expected, rel=1e-4)]
    before = student.get_layer("attention").get_weights()
    distiller.compile(keras.optimizers.Adam(1e-2), jit_compile=jit_compile)
    history = distiller.fit(x, y, batch_size=8, epochs=8, verbose=0).history["probe"]
    assert history[-1] < 0.9 * history[0]
    after = student.get_layer("attention").get_weights()
    assert np.abs(after[0] - before[0]).max() > 1e-3


def test_no_model_runs_twice():
    student, teacher = attending(0, "student"), attending(1, "teacher")
    loss = Probe(layers={"attention": "attention"})
    distiller = Distiller(student, teacher, alpha=0.0, feature_losses=[loss])
    counts = {}
    for model in (student, teacher):
        layer = model.get_layer("attention")
        compute = layer._compute_attention

        def counting(*args, name=model.name, compute=compute, **kwargs):
            counts[name] = counts.get(name, 0) + 1
            return compute(*args, **kwargs)

        layer._compute_attention = counting
    x, y = tokens()
    distiller.compile("sgd", cross_entropy(), run_eagerly=True)
    distiller.fit(x, y, batch_size=4, verbose=0)
    symbolic = keras.backend.backend() != "tensorflow"  # Keras builds what it has not built yet
    assert counts == {"teacher": 2, "student": 2 + symbolic}


@pytest.mark.parametrize("kind", ["multi_head", "grouped"])
def test_a_block_means_the_one_attention_in_it(kind):
    student, teacher = (blocked(i, n, "block", kind=kind) for i, n in enumerate("st"))
    loss = Probe(layers={"block": "block"}, name="probe")
    distiller = Distiller(student, teacher, kd_loss=None, feature_losses=[loss])
    distiller.compile(keras.optimizers.SGD(0.0), cross_entropy(), run_eagerly=True)
    x, y = tokens()
    by_block = distiller.fit(x, y, batch_size=8, verbose=0).history["probe"]
    loss = Probe(layers={"block/attention": "block/attention"}, name="probe")
    distiller = Distiller(student, teacher, kd_loss=None, feature_losses=[loss])
    distiller.compile(keras.optimizers.SGD(0.0), cross_entropy(), run_eagerly=True)
    assert distiller.fit(x, y, batch_size=8, verbose=0).history["probe"] == [
        pytest.approx(by_block[0], rel=1e-5)
    ]


def test_a_model_with_several_attentions_lists_their_paths():
    inner = keras.Input((T, WIDTH))
    x = Block(name="one")(inner)
    body = keras.Model(inner, Block(name="two")(x), name="body")
    student = classifier(0, body, "student")
    with pytest.raises(ValueError, match=r"holds several.*'body/one/attention', 'body/two/att"):
        Distiller(student, attending(1, "t"), feature_losses=[Probe(layers={"body": "attention"})])
    loss = Probe(layers={"body/one": "attention"})
    Distiller(student, attending(1, "teacher"), feature_losses=[loss])


def test_a_layer_without_attention_is_told_where_there_is_some():
    student, teacher = attending(0, "student"), blocked(1, "teacher", "one", "two")
    loss = Probe(layers={"attention": "pool"})
    with pytest.raises(ValueError, match=r"teacher's layer is no attention layer and holds none"):
        Distiller(student, teacher, feature_losses=[loss])
    with pytest.raises(ValueError, match=r"Available: \['one/attention', 'two/attention'\]"):
        Distiller(student, teacher, feature_losses=[loss])


@pytest.mark.parametrize("side", SIDES[:2])
def test_a_mixed_precision_distiller_compares_attention(side):
    keras.config.set_dtype_policy("mixed_float16")
    student, teacher = attending(0, "student"), attending(1, "teacher")
    loss = Probe(side, layers={"attention": "attention"}, name="probe")
    distiller = Distiller(student, teacher, alpha=0.0, kd_loss=None, feature_losses=[loss])
    distiller.compile(keras.optimizers.Adam(1e-2), run_eagerly=True)
    x, y = tokens()
    history = distiller.fit(x, y, batch_size=8, epochs=8, verbose=0).history["probe"]
    assert history[-1] < 0.9 * history[0]


def test_a_reloaded_distiller_reads_the_same(tmp_path):
    student, teacher = attending(0, "student"), blocked(1, "teacher", "block")
    taps = {"attention": Tap("block", side="attention_scores", call=0)}
    loss = Probe(layers=taps, name="probe")
    distiller = Distiller(student, teacher, alpha=0.5, feature_losses=[loss])
    distiller.compile(keras.optimizers.SGD(0.1), cross_entropy(), run_eagerly=True)
    distiller.save(tmp_path / "distiller.keras")
    copy = keras.saving.load_model(tmp_path / "distiller.keras")
    assert copy.feature_terms[0].loss.layers == taps
    x, y = tokens()
    fit = {"batch_size": 4, "epochs": 2, "shuffle": False, "verbose": 0}
    first, second = (model.fit(x, y, **fit).history for model in (distiller, copy))
    np.testing.assert_allclose(second["probe"], first["probe"], rtol=1e-5)
