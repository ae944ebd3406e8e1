"""`TeacherCache.answers`: the same answers as arrays, which a machine without TensorFlow reads."""

import keras
import numpy as np
import pytest
from caching import Lines, answers_are_read_from_files, numbers, read
from carrying import assert_same_run
from models_for_tests import EAGER, cross_entropy, examples, net, sgd

from keras_kd import Distiller, TeacherCache
from keras_kd.losses import FitNetLoss

pytestmark = pytest.mark.core

KINDS = {
    "whole": {},
    "float32": {"dtype": "float32"},
    "bfloat16": {"dtype": "bfloat16"},
    "probabilities": {"teacher": "softmax"},
    "top_k": {"top_k": 2},
    "layers": {"layers": ["hidden"]},
}
# Other types of numbers go the way of float16.
MARKS = dict.fromkeys(["float32", "bfloat16"], pytest.mark.slow)


@pytest.mark.alike
@pytest.mark.parametrize("kind", [pytest.param(kind, marks=MARKS.get(kind, ())) for kind in KINDS])
def test_arrays_hold_what_the_data_set_gives(tmp_path, monkeypatch, kind):
    x, _ = examples()
    settings = dict(KINDS[kind])
    cache = TeacherCache(tmp_path, net(8, activation=settings.pop("teacher", None)), **settings)
    from_memory = read(cache.label(x))
    answers_are_read_from_files(monkeypatch)
    from_files = read(cache.label(x))
    expected = {"inputs": x, **TeacherCache(tmp_path, None, **settings).answers()}
    for found in (from_memory, from_files):
        keras.tree.assert_same_structure(found, expected)
        for a, b in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
            assert a.dtype == b.dtype
            # Two sigmoids of float32; all else is only copied.
            np.testing.assert_allclose(a, b, rtol=1e-6 if kind == "probabilities" else 0.0)


@pytest.mark.alike
def test_answers_of_several_outputs_keep_their_structure(tmp_path):
    x, _ = examples()
    inputs = keras.Input((4,))
    outputs = {"a": keras.layers.Dense(3)(inputs), "b": keras.layers.Dense(2)(inputs)}
    cache = TeacherCache(tmp_path, keras.Model(inputs, outputs), dtype="float32")
    expected = read(cache.label(x))["teacher_outputs"]
    found = cache.answers()["teacher_outputs"]
    assert sorted(found) == ["a", "b"]
    for name, value in found.items():
        np.testing.assert_array_equal(value, expected[name])


@pytest.mark.alike
def test_every_shard_and_every_view_is_read_in_its_order(tmp_path, monkeypatch):
    # 40 examples are three shards, of several blocks.
    monkeypatch.setattr("keras_kd.cache.identity._SHARD_EXAMPLES", 16)
    monkeypatch.setattr("keras_kd.cache.identity._BLOCK_EXAMPLES", 4)
    cache = TeacherCache(tmp_path, Lines(), dtype="float32")
    cache.label(numbers(40), augment=lambda x, seed: x + 0.5 * float_of(seed), views=2)
    for view in (0, 1):
        seen = numbers(40) + 0.5 * view
        np.testing.assert_array_equal(cache.answers(view)["teacher_outputs"], Lines()(seen))


def float_of(seed):
    import tensorflow as tf

    return tf.cast(seed[1], "float32")


def test_arrays_teach_what_the_live_teacher_does(tmp_path):
    x, y = examples()
    TeacherCache(tmp_path, net(8), dtype="float32", layers=["hidden"]).label(x)
    answers = TeacherCache(tmp_path, None, dtype="float32", layers=["hidden"]).answers()
    runs = []
    for teacher, given in ((net(8), x), (None, {"inputs": x, **answers})):
        keras.utils.set_random_seed(0)
        loss = FitNetLoss(layers={"hidden": "hidden"}, weight=1.0)
        distiller = Distiller(net(3), teacher, alpha=0.3, feature_losses=[loss])
        distiller.compile(sgd(), cross_entropy(), **EAGER)
        history = distiller.fit(given, y, batch_size=6, epochs=2, shuffle=False, verbose=0).history
        runs.append((distiller, history))
    assert_same_run(runs[0][0], runs[1][0], runs[0][1], runs[1][1])


@pytest.mark.alike
def test_what_is_not_there_cannot_be_read(tmp_path):
    cache = TeacherCache(tmp_path, Lines())
    with pytest.raises(ValueError, match=r"Answers are missing: .*`label`.* Received: path="):
        cache.answers()
    cache.label(numbers(8))
    with pytest.raises(ValueError, match=r"`view` must be below 1.* Received: view=1"):
        cache.answers(1)
    with pytest.raises(TypeError, match=r"`view` must be a whole number.* Received: view='0'"):
        cache.answers("0")


@pytest.mark.alike
def test_a_damaged_shard_is_not_read(tmp_path):
    cache = TeacherCache(tmp_path, Lines())
    cache.label(numbers(8))
    (file,) = tmp_path.glob("view-*/*.tfrecord")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(OSError, match=r"A shard of the cache is damaged: checksum"):
        cache.answers()
