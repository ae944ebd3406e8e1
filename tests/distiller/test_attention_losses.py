"""Losses on what attention layers compute with, in a Distiller."""

import keras
import numpy as np
import pytest
from attention_in_numpy import SIDES, WIDTH, Block, T, grouped, multi_head, read
from keras import layers, ops
from models_for_tests import EAGER, cross_entropy
from variants import first_of

from keras_kd import Distiller
from keras_kd.features import Tap
from keras_kd.losses import DistillationLoss

pytestmark = pytest.mark.core
JIT = keras.backend.backend() == "jax"  # which would run operation by operation without it


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


@first_of(
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
    expected = float(keras.ops.convert_to_numpy(loss(*values, mask=mask)))
    how = {"jit_compile": jit_compile or JIT}
    distiller.compile(keras.optimizers.SGD(0.0), **how)
    history = distiller.fit(x, y, batch_size=8, verbose=0).history
    assert history["probe"] == [pytest.approx(expected, rel=1e-4)]
    before = student.get_layer("attention").get_weights()
    distiller.compile(keras.optimizers.Adam(1e-2), **how)
    history = distiller.fit(x, y, batch_size=8, epochs=8, verbose=0).history["probe"]
    assert history[-1] < 0.9 * history[0]
    after = student.get_layer("attention").get_weights()
    assert np.abs(after[0] - before[0]).max() > 1e-3


@pytest.mark.alike
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


@pytest.mark.alike
@first_of("kind", ["multi_head", "grouped"])
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


@pytest.mark.alike
def test_a_model_with_several_attentions_lists_their_paths():
    inner = keras.Input((T, WIDTH))
    x = Block(name="one")(inner)
    body = keras.Model(inner, Block(name="two")(x), name="body")
    student = classifier(0, body, "student")
    with pytest.raises(ValueError, match=r"holds several.*'body/one/attention', 'body/two/att"):
        Distiller(student, attending(1, "t"), feature_losses=[Probe(layers={"body": "attention"})])
    loss = Probe(layers={"body/one": "attention"})
    Distiller(student, attending(1, "teacher"), feature_losses=[loss])


@pytest.mark.alike
def test_a_layer_without_attention_is_told_where_there_is_some():
    student, teacher = attending(0, "student"), blocked(1, "teacher", "one", "two")
    loss = Probe(layers={"attention": "pool"})
    with pytest.raises(ValueError, match=r"teacher's layer is no attention layer and holds none"):
        Distiller(student, teacher, feature_losses=[loss])
    with pytest.raises(ValueError, match=r"Available: \['one/attention', 'two/attention'\]"):
        Distiller(student, teacher, feature_losses=[loss])


@pytest.mark.slow
@first_of("side", SIDES[:2])
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
    distiller.compile(keras.optimizers.SGD(0.1), cross_entropy(), **EAGER)
    distiller.save(tmp_path / "distiller.keras")
    copy = keras.saving.load_model(tmp_path / "distiller.keras")
    assert copy.feature_terms[0].loss.layers == taps
    x, y = tokens()
    fit = {"batch_size": 4, "epochs": 2, "shuffle": False, "verbose": 0}
    first, second = (model.fit(x, y, **fit).history for model in (distiller, copy))
    np.testing.assert_allclose(second["probe"], first["probe"], rtol=1e-5)
