"""What goes into a cache comes out with the teacher's answers, and teaches as the teacher does."""

import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from caching import (
    Lines,
    answers_are_read_from_files,
    assert_labelled,
    lines,
    numbers,
    outputs,
    predicted,
    read,
)
from carrying import assert_same_run
from models_for_tests import EAGER, cross_entropy, examples, kd, net, sgd, softmax
from variants import first_of

from keras_kd import Distiller, TeacherCache, losses
from keras_kd.teachers import Ensemble

pytestmark = pytest.mark.core

WEIGHTS = np.linspace(0.5, 1.5, 12).astype("float16")


def dataset_of(parts):
    return tf.data.Dataset.from_tensor_slices(parts)


@pytest.mark.alike
@first_of("given", [dataset_of, lambda parts: parts], ids=["tf.data", "arrays"])
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_every_element_gets_its_answer_and_stays_as_it_was(tmp_path, given, parts):
    x, y = examples()
    data = (x, y, WEIGHTS)[:parts]
    train = TeacherCache(tmp_path, Lines(), dtype="float32").label(
        given(data if parts > 1 else x), batch_size=5
    )
    assert train.cardinality() == 12
    found = read(train)
    if parts == 1:
        found = (found,)
    assert len(found) == parts
    assert set(found[0]) == {"inputs", "teacher_outputs"}
    assert_labelled(train, x)
    for kept, sent in zip(found[1:], data[1:], strict=True):
        np.testing.assert_array_equal(kept, sent)
        assert kept.dtype == sent.dtype


@pytest.mark.alike
def test_elements_of_one_part_stay_so(tmp_path):
    x, _ = examples()
    (found,) = read(TeacherCache(tmp_path, Lines()).label(dataset_of((x,))))
    np.testing.assert_array_equal(found["inputs"], x)


def two_inputs(structure):
    keras.utils.set_random_seed(2)
    tensors = {"a": keras.Input((4,), name="a"), "b": keras.Input((2,), name="b")}
    both = keras.layers.Concatenate()(list(tensors.values()))
    inputs = tensors if structure is dict else structure(tensors.values())
    return keras.Model(inputs, keras.layers.Dense(3)(both))


@first_of("structure", [dict, tuple])
def test_inputs_may_be_a_dict_or_a_tuple(tmp_path, structure):
    a, y = examples()
    x = {"a": a, "b": a[:, :2] ** 2}
    x = x if structure is dict else (x["a"], x["b"])
    teacher = two_inputs(structure)
    expected = predicted(teacher, x if structure is dict else list(x))
    cache = TeacherCache(tmp_path, teacher, dtype="float32")
    for data in ((x, y), dataset_of((x, y))):
        found, labels = read(cache.label(data))
        keras.tree.map_structure(np.testing.assert_array_equal, found["inputs"], x)
        np.testing.assert_array_equal(labels, y)
        np.testing.assert_allclose(found["teacher_outputs"], expected, rtol=0, atol=1e-6)


def test_a_dict_may_hold_more_than_the_teacher_takes(tmp_path):
    a, _ = examples()
    x = {"a": a, "b": a[:, :2], "name": np.array([f"example {i}" for i in range(12)])}
    teacher = two_inputs(dict)
    if keras.backend.backend() != "tensorflow":
        del x["name"]
        x["more"] = a
    found = read(TeacherCache(tmp_path, teacher, dtype="float32").label((x, np.zeros(12))))
    expected = predicted(teacher, {"a": x["a"], "b": x["b"]})
    np.testing.assert_allclose(found[0]["teacher_outputs"], expected, rtol=0, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="strings are TensorFlow's")
@first_of("shape", [(), (1,)], ids=str)
def test_texts_are_labelled(tmp_path, shape):
    words = keras.layers.TextVectorization(output_sequence_length=3)
    words.adapt(["one two", "three four"])
    layers = [words, keras.layers.Embedding(8, 2), keras.layers.Flatten(), keras.layers.Dense(3)]
    teacher = keras.Sequential([keras.Input((1,), dtype="string"), *layers])
    texts = np.array(["one", "two three", "äöü one four"])
    data = dataset_of((texts.reshape(3, *shape), [0, 1, 2]))
    train = TeacherCache(tmp_path, teacher, dtype="float32").label(data)
    expected = teacher(tf.constant(texts)[:, None]).numpy()
    np.testing.assert_allclose(outputs(train), expected, rtol=0, atol=1e-6)
    assert [text.decode() for text in read(train)[0]["inputs"].ravel()] == list(map(str, texts))


def heads(structure, seed=1):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    parts = {name: keras.layers.Dense(3, name=name)(inputs) for name in ("b", "a")}
    return keras.Model(inputs, parts if structure is dict else structure(parts.values()))


@pytest.mark.alike
@first_of("structure", [dict, list, tuple])
def test_teachers_of_several_outputs_are_cached_and_teach(tmp_path, structure):
    x, _ = examples()
    teacher = heads(structure)
    train = TeacherCache(tmp_path, teacher, dtype="float32").label(x)
    expected = predicted(teacher, x)
    found = outputs(train)
    pairs = zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    assert isinstance(found, dict) == (structure is dict)
    live, cached = (Distiller(heads(structure, 5), t, alpha=0.0) for t in (teacher, None))
    assert_same(live, cached, (x,), train)


def assert_same(live, cached, data, train, loss=None):
    """Asserts that a run on cached labels goes step by step as the one with the teacher."""
    runs = []
    for model, given in ((live, dataset_of(data)), (cached, train)):
        keras.utils.set_random_seed(0)
        model.compile(sgd(), loss, **EAGER)
        batches = Losses()
        history = model.fit(given.batch(4), epochs=2, verbose=0, callbacks=[batches])
        runs.append((history.history, batches.values))
    np.testing.assert_allclose(runs[0][1], runs[1][1], rtol=1e-5, atol=1e-6)
    assert len(runs[0][1]) == 2 * 3
    assert_same_run(live, cached, runs[0][0], runs[1][0])


@pytest.mark.alike
@first_of("ends", [None, "softmax"])
@first_of("top_k", [None, 3])
@first_of("taught", [None, "probabilities", "scores"])
def test_one_output_teaches_one_whatever_they_are_called(tmp_path, ends, top_k, taught):
    x, _ = examples()
    teacher, student = net(seed=4, activation=ends), net(seed=7)
    given = predicted(teacher, x)
    teacher = keras.Model(teacher.input, {"probabilities": teacher.output})
    if taught is not None:
        student = keras.Model(student.input, {taught: student.output})
    train = TeacherCache(tmp_path, teacher, dtype="float32", top_k=top_k).label(x)
    model = Distiller(student, alpha=0.0, temperature=2.0)
    model.compile(sgd(0.0), None, **EAGER)
    found = model.fit(train.batch(12), verbose=0).history["kd_loss"][0]
    z = keras.tree.flatten(predicted(student, x))[0]
    expected = kd(np.log(given) if ends else given, z, 2.0).mean()
    assert found == pytest.approx(expected, rel=1e-4)


class Losses(keras.callbacks.Callback):
    """The loss of every batch."""

    def __init__(self):
        super().__init__()
        self.values = []

    def on_train_batch_end(self, batch, logs=None):
        self.values.append(logs["loss"])


@pytest.mark.parametrize(
    ("ends", "classes", "kd_loss"),
    [
        (None, 3, losses.KDLoss()),
        pytest.param(None, 3, losses.DKDLoss(), marks=pytest.mark.slow),
        pytest.param("softmax", 3, losses.KDLoss(), marks=pytest.mark.alike),
        pytest.param("sigmoid", 3, losses.BinaryKDLoss(2.0), marks=pytest.mark.slow),
        pytest.param("sigmoid", 1, losses.BinaryKDLoss(), marks=pytest.mark.slow),
        pytest.param("sigmoid", 2, losses.RegressionLoss(), marks=pytest.mark.alike),
        pytest.param(None, 2, losses.RegressionLoss(), marks=pytest.mark.slow),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_a_run_on_cached_labels_is_the_live_run(tmp_path, ends, classes, kd_loss):
    x, y = examples()
    teacher = net(9, seed=4, classes=classes, activation=ends)
    labels = y % max(classes, 2)
    loss = cross_entropy()
    if classes < 3 or isinstance(kd_loss, losses.BinaryKDLoss):
        loss, labels = "mean_squared_error", np.eye(3, dtype="float32")[labels, :classes]
    last = ends if isinstance(kd_loss, losses.RegressionLoss) else None
    live, cached = (
        Distiller(net(seed=7, classes=classes, activation=last), t, alpha=0.3, kd_loss=kd_loss)
        for t in (teacher, None)
    )
    cache = TeacherCache(tmp_path, teacher, dtype="float32")
    train = cache.label((x, labels, WEIGHTS.astype("float32")))
    assert isinstance(train.element_spec[0]["teacher_outputs"], dict) == (ends is not None)
    assert_same(live, cached, (x, labels, WEIGHTS.astype("float32")), train, loss)


@pytest.mark.alike
@first_of("ends", ["softmax", "sigmoid"])
@first_of(("dtype", "bits"), [("float32", 21), ("float16", 11), ("bfloat16", 8)])
def test_answers_are_those_of_the_teacher_to_the_stored_precision(tmp_path, dtype, bits, ends):
    x = 4.0 * examples(40)[0]
    logits = net(9, seed=4)
    wide = predicted(logits, x)
    train = TeacherCache(tmp_path / "logits", logits, dtype=dtype).label(x)
    np.testing.assert_allclose(outputs(train), wide, rtol=2.0**-bits, atol=1e-6)
    assert outputs(train).dtype == np.float32
    teacher = net(9, seed=4, activation=ends)
    train = TeacherCache(tmp_path / "probabilities", teacher, dtype=dtype).label(x)
    (name,) = outputs(train)
    assert name == "probabilities"
    # A logit that is off by e changes p by less than e / 4.
    np.testing.assert_allclose(
        outputs(train)[name], predicted(teacher, x), rtol=0, atol=10 * 2.0**-bits / 4
    )


@pytest.mark.alike
def test_a_declared_kind_is_that_of_a_teacher_that_does_not_tell(tmp_path):
    x = np.linspace(0.1, 0.9, 6, dtype="float32")[:, None]
    with pytest.raises(ValueError, match=r"from_logits=True .*or from_logits=False.*=None"):
        TeacherCache(tmp_path / "unknown", lambda x: x).label(x)
    real = TeacherCache(tmp_path / "real", lambda x: x, from_logits=True).label(x)
    np.testing.assert_allclose(outputs(real), x, rtol=2e-3)
    given = TeacherCache(tmp_path / "p", lambda x: x, from_logits=False).label(x)
    np.testing.assert_allclose(outputs(given)["probabilities"], x, rtol=2e-3)
    with pytest.raises(ValueError, match=r"between 0 and 1.*from -1 to 0, first in example 0"):
        TeacherCache(tmp_path / "wrong", lambda x: x, from_logits=False).label(
            np.array([[-1.0], [0.0]])
        )


@pytest.mark.alike
def test_sigmoids_that_happen_to_sum_to_one_at_first_are_no_softmax(tmp_path):
    p = np.array([[0.5, 0.5], [0.25, 0.75], [0.9, 0.9], [0.0, 1.0]], "float32")
    train = TeacherCache(tmp_path, lambda x: x, dtype="float32").label(p, batch_size=2)
    np.testing.assert_allclose(outputs(train)["probabilities"], p, rtol=0, atol=1e-6)


@pytest.mark.alike
def test_what_tensorflow_offers_works_on_the_result(tmp_path):
    x = numbers(40)
    train = TeacherCache(tmp_path, Lines(), dtype="float32").label((x, np.arange(40)))
    shuffled, y = read(train.shuffle(40, seed=1).take(30).repeat(2))
    assert len(y) == 60
    assert (np.diff(y) != 1).sum() > 20
    np.testing.assert_allclose(shuffled["teacher_outputs"], lines(shuffled["inputs"]))
    mapped = train.map(lambda x, y: ({**x, "inputs": x["inputs"] + 1.0}, y)).batch(7)
    batch, _ = next(iter(mapped))
    np.testing.assert_allclose(batch["teacher_outputs"], lines(numbers(7)))
    assert mapped.cardinality() == 6


@pytest.mark.alike
@pytest.mark.parametrize("where", ["memory", "files"])
def test_no_option_that_is_set_later_parts_examples_from_their_answers(
    tmp_path, monkeypatch, where
):
    if where == "files":
        answers_are_read_from_files(monkeypatch)

    def late(x, seed=None):
        def wait(x):
            time.sleep(0.002 * float(x[0] % 3 == 0))
            return x

        return tf.ensure_shape(tf.py_function(wait, [x], tf.float32), (1,))

    x = numbers(32)
    data = dataset_of(x).map(late, num_parallel_calls=8)
    train = TeacherCache(tmp_path, Lines(), dtype="float32").label(data, augment=late)
    options = tf.data.Options()
    options.deterministic = False
    assert_labelled(train.with_options(options), x)
    hasty = TeacherCache(tmp_path, Lines(), dtype="float32")
    assert_labelled(hasty.label(data.with_options(options), augment=late), x)


@pytest.mark.alike
@first_of("shape", [(1,), (None,)], ids=str)
@pytest.mark.parametrize("count", [48, 50])  # whole blocks, and a part of one
def test_a_dataset_that_changes_afterwards_stops_the_training(tmp_path, count, shape):
    end = [count]

    def generate():
        yield from numbers(end[0])

    data = tf.data.Dataset.from_generator(
        generate, output_signature=tf.TensorSpec(shape, "float32")
    )
    train = TeacherCache(tmp_path, Lines(), dtype="float32").label(data)
    assert_labelled(train, numbers(count))
    for changed in (count - 1, count + 1):
        end[0] = changed
        with pytest.raises(tf.errors.FailedPreconditionError, match=f"{count} elements"):
            # As many batches as `fit` draws where it knows their number.
            list(train.batch(2).take(count // 2))


@pytest.mark.alike
def test_labels_may_be_of_any_size_and_examples_not(tmp_path):
    sizes = [3, 1, 5, 2]
    data = tf.data.Dataset.from_generator(
        lambda: ((np.full(2, n, "float32"), {"n": np.arange(n)}) for n in sizes),
        output_signature=(tf.TensorSpec((2,)), {"n": tf.TensorSpec((None,), "int64")}),
    )
    train = TeacherCache(tmp_path, Lines(), dtype="float32").label(data)
    for (x, y), n in zip(train, sizes, strict=True):
        np.testing.assert_array_equal(y["n"], np.arange(n))
        np.testing.assert_allclose(x["teacher_outputs"], [2 * n, n - 3, 2 - n])
    turned = data.map(lambda x, y: y["n"])
    with pytest.raises(ValueError, match=r"(?s)one shape: pad.*shape \[3\] .* shape \[1\]"):
        TeacherCache(tmp_path / "turned", Lines()).label(turned)


def test_an_ensemble_is_cached_like_any_teacher(tmp_path):
    x, _ = examples()
    members = [net(seed=1), net(seed=2)]
    train = TeacherCache(tmp_path, Ensemble(members), dtype="float32").label(x)
    expected = np.mean([softmax(predicted(member, x)) for member in members], axis=0)
    found = outputs(train)
    found = found["probabilities"] if isinstance(found, dict) else softmax(found)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_a_classifier_of_scikit_learn_teaches(tmp_path):
    from sklearn.linear_model import LogisticRegression

    x, y = examples(60)
    teacher = LogisticRegression().fit(x, y)
    train = TeacherCache(tmp_path, teacher.predict_proba, dtype="float32").label((x, y))
    expected = teacher.predict_proba(x)
    np.testing.assert_allclose(outputs(train)["probabilities"], expected, rtol=0, atol=1e-6)
    model = Distiller(net(), alpha=0.0, temperature=1.0)
    model.compile(keras.optimizers.Adam(0.1))
    history = model.fit(train.batch(20), epochs=8, verbose=0).history["kd_loss"]
    assert history[-1] < 0.3 * history[0]


def test_half_precision_teachers_are_stored(tmp_path):
    x, _ = examples()
    teacher = net(seed=3, dtype="mixed_bfloat16")
    train = TeacherCache(tmp_path, teacher, dtype="float32").label(x)
    expected = predicted(teacher, x).astype("float32")
    np.testing.assert_allclose(outputs(train), expected, rtol=0.02, atol=0.02)


@pytest.mark.alike
def test_it_says_how_far_it_is_and_what_it_takes(tmp_path, capsys):
    cache = TeacherCache(tmp_path, Lines(), dtype="bfloat16")
    assert (cache.bytes_per_example, cache.complete) == (None, False)
    keras.config.enable_interactive_logging()
    cache.label(numbers(30))
    assert (cache.bytes_per_example, cache.complete) == (6, True)
    shown = capsys.readouterr().out
    assert "labelling" in shown
    assert f"30 examples labelled, 6 bytes each, in '{tmp_path}'" in shown
    files = sum(file.stat().st_size for file in tmp_path.rglob("*.tfrecord"))
    assert files < 30 * 6 + 200


@pytest.mark.alike
def test_a_new_cache_asks_about_each_view_of_each_example_once(tmp_path):
    teacher = Lines()
    cache = TeacherCache(tmp_path, teacher)
    cache.label(
        numbers(20), augment=lambda x, seed: x + tf.cast(seed[1], "float32"), views=2, batch_size=8
    )
    assert teacher.asked == 2 * 20


@pytest.mark.alike
def test_a_complete_cache_needs_no_teacher(tmp_path):
    x = numbers(30)
    with pytest.raises(ValueError, match=r"Answers are missing.*Received: teacher=None, path='"):
        TeacherCache(tmp_path, None).label(x)
    assert not list(tmp_path.iterdir())
    TeacherCache(tmp_path, Lines(), dtype="float32").label(x)
    cache = TeacherCache(tmp_path, None, dtype="float32")
    for check in ("all", "start"):
        assert_labelled(cache.label(x, check=check), x)
    with pytest.raises(ValueError, match="pass the teacher"):
        cache.label_shard(x, 0, 1)
