"""What is kept of a teacher's answers: the k largest, and what its layers give."""

import keras
import numpy as np
import pytest
from caching import outputs, predicted, read
from carrying import assert_same_run, carried, fit, make, nets
from models_for_tests import examples, log_softmax, net, softmax

from keras_kd import TeacherCache, losses
from keras_kd.features import Tap

pytestmark = [pytest.mark.core, pytest.mark.alike]

X = np.eye(6, dtype="float32")


def teacher_of(logits):
    """A teacher that gives the rows of `logits` for `X`."""
    return lambda x: np.asarray(logits)[np.argmax(x, axis=-1)]


def labels_of(path, logits, k, dtype="float32", **kwargs):
    cache = TeacherCache(path, teacher_of(logits), dtype=dtype, top_k=k, **kwargs)
    return outputs(cache.label(X)), cache


def logits(classes=7, scale=3.0):
    return scale * np.random.default_rng(5).normal(size=(6, classes))


@pytest.mark.parametrize("k", [1, 3, 6])
def test_the_k_largest_probabilities_and_what_remains(tmp_path, k):
    z = logits()
    found, _ = labels_of(tmp_path, z, k)
    expected = np.sort(log_softmax(z))[:, ::-1]
    np.testing.assert_allclose(found["log_probabilities"], expected[:, :k], atol=1e-5)
    np.testing.assert_array_equal(found["indices"], np.argsort(-z)[:, :k])
    rest = np.log(np.exp(expected[:, k:]).sum(-1))
    np.testing.assert_allclose(found["log_rest"], rest, atol=1e-5)
    assert {name: values.dtype for name, values in found.items()} == {
        "log_probabilities": "float32",
        "indices": "int32",
        "log_rest": "float32",
    }


def test_all_classes_leave_the_smallest_number_as_the_rest(tmp_path):
    z = logits()
    found, _ = labels_of(tmp_path, z, 7)
    assert (np.exp(found["log_rest"].astype("float64")) < 2e-38).all()
    assert np.isfinite(found["log_rest"]).all()
    np.testing.assert_allclose(np.exp(found["log_probabilities"]).sum(-1), 1.0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_gap_of_100_between_logits_is_kept_in_half_precision(tmp_path, dtype):
    z = np.tile([0.0, -100.0, -50.0], (6, 1))
    found, _ = labels_of(tmp_path / "top", z, 2, dtype)
    np.testing.assert_allclose(found["log_probabilities"], [[0.0, -50.0]] * 6, atol=1e-6)
    np.testing.assert_allclose(found["log_rest"], [-100.0] * 6, atol=0.3)
    z = np.tile([0.0, -100.0, -50.0, -50.0], (6, 1))
    found, _ = labels_of(tmp_path / "wide", z, 2, dtype)
    np.testing.assert_allclose(found["log_rest"], [-50.0] * 6, atol=0.3)
    train = TeacherCache(tmp_path / "all", teacher_of(z), dtype=dtype).label(X)
    np.testing.assert_array_equal(outputs(train), z)
    train = TeacherCache(tmp_path / "p", teacher_of(softmax(z)), dtype=dtype).label(X)
    found = np.log(np.maximum(outputs(train)["probabilities"], 1e-38))
    np.testing.assert_allclose(found[:, [0, 2, 3]], z[:, [0, 2, 3]], atol=0.2)
    assert (found[:, 1] < -80.0).all()


@pytest.mark.parametrize(
    ("classes", "dtype", "size"),
    [
        (256, "float16", 3 * (2 + 1) + 2),
        (257, "float16", 3 * (2 + 2) + 2),
        (70000, "float16", 3 * (2 + 4) + 2),
        (10, "float32", 3 * (4 + 1) + 4),
    ],
)
def test_classes_are_stored_in_as_few_bytes_as_they_take(tmp_path, classes, dtype, size):
    z = np.random.default_rng(1).normal(size=(6, classes))
    z[:, -1] = 50.0  # the highest number must fit
    found, cache = labels_of(tmp_path, z, 3, dtype)
    assert cache.bytes_per_example == size
    np.testing.assert_array_equal(found["indices"][:, 0], [classes - 1] * 6)


def test_a_teacher_that_ends_in_softmax_gives_the_same_labels(tmp_path):
    z = logits()
    one, _ = labels_of(tmp_path / "logits", z, 3)
    other, _ = labels_of(tmp_path / "probabilities", softmax(z), 3)
    np.testing.assert_array_equal(one["indices"], other["indices"])
    np.testing.assert_allclose(one["log_rest"], other["log_rest"], atol=1e-5)


def test_every_output_and_every_position_has_its_own(tmp_path):
    z = np.random.default_rng(2).normal(size=(6, 4, 9))
    teacher = teacher_of(z)
    cache = TeacherCache(tmp_path, lambda x: {"a": teacher(x), "b": teacher(x)[:, 0]}, top_k=2)
    found = outputs(cache.label(X))
    assert found["a"]["indices"].shape == (6, 4, 2)
    assert found["a"]["log_rest"].shape == (6, 4)
    np.testing.assert_array_equal(found["a"]["indices"], np.argsort(-z)[..., :2])
    np.testing.assert_array_equal(found["b"]["indices"], np.argsort(-z[:, 0])[:, :2])


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


@pytest.mark.parametrize(
    ("values", "k", "kwargs", "message"),
    [
        (logits(), 8, {}, "at most the number of classes. Received: top_k=8, 7 classes"),
        (sigmoid(logits()), 2, {"from_logits": False}, r"several classes.*\(7,\) of independent p"),
        (logits(1), 1, {}, r"several classes.*top_k=1, a teacher that gives shape \(1,\)"),
        (logits()[:, 0], 1, {}, r"several classes.*a teacher that gives shape \(\)"),
    ],
)
def test_top_k_is_for_one_choice_among_classes(tmp_path, values, k, kwargs, message):
    with pytest.raises(ValueError, match=message):
        labels_of(tmp_path, values, k, **kwargs)
    assert not list(tmp_path.rglob("*.json"))


def test_probabilities_that_stop_to_sum_to_one_have_no_k_largest(tmp_path):
    p = np.array([[0.5, 0.5], [0.2, 0.8], [0.9, 0.9], [0.9, 0.9], [0.5, 0.5], [0.5, 0.5]])
    cache = TeacherCache(tmp_path, teacher_of(p), top_k=1)
    with pytest.raises(ValueError, match=r"sum to 1. Received: a sum of 1.8 in example 2"):
        cache.label(X, batch_size=2)
    p = np.array([[0.5, 0.5]] * 3 + [[2.0, -1.0]] * 3)
    cache = TeacherCache(tmp_path / "real", teacher_of(p))
    with pytest.raises(ValueError, match=r"between 0 and 1.*from -1 to 2, first in example 3"):
        cache.label(X, batch_size=2)


def test_a_student_learns_from_top_k_labels_as_from_the_teacher_where_k_is_all(tmp_path):
    x, y = examples()
    teacher = net(9, seed=4)
    train = TeacherCache(tmp_path, teacher, dtype="float32", top_k=3).label((x, y))
    live, told = (make(net(seed=7), t, None) for t in (teacher, None))
    history = fit(live, x, y, batch_size=4)
    assert_same_run(live, told, history, fit(told, train.batch(4)), atol=5e-6)


# Layers.


@pytest.mark.parametrize(
    "name",
    [
        "FitNetLoss",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("MiniLMLoss", "ABLoss", "CRDLoss")
        ),
    ],
)
def test_layers_teach_what_those_of_a_live_teacher_do(tmp_path, name):
    ours = {
        "FitNetLoss": {"layers": {"stage2": "stage2", "stage1": "stage1"}},
        "MiniLMLoss": {"layers": {"attention2": "attention2"}},
        "ABLoss": {"layers": {Tap("stage2", side="input"): Tap("stage2", side="input")}},
        "CRDLoss": {"size": 16, "negatives": 5, "dim": 4, "layers": {"pool": "pool"}},
    }[name]
    kind = "attending" if name == "MiniLMLoss" else "convolutional"
    loss = getattr(losses, name)(**ours)
    student, teacher = nets(kind)
    taps = [Tap.of(tap, loss.side) for tap in loss.layers.values()]
    x, y = carried(teacher, taps)
    cache = TeacherCache(tmp_path, teacher, dtype="float32", layers=taps)
    train = cache.label((x["inputs"], y))
    found = read(train)[0]
    assert set(found) == {"inputs", "teacher_outputs", "teacher_features", "index"}
    assert set(found["teacher_features"]) == {tap.key for tap in taps}
    keras.tree.map_structure(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
        found["teacher_features"],
        x["teacher_features"],
    )
    np.testing.assert_array_equal(found["index"], np.arange(16))
    live = make(student, teacher, loss)
    history = fit(live, {"inputs": x["inputs"], "index": x["index"]}, y)
    told = make(nets(kind)[0], None, loss)
    assert_same_run(live, told, history, fit(told, train.batch(8)), atol=5e-6)


def test_a_layer_of_several_calls_is_read_at_the_one_that_is_named(tmp_path):
    double = keras.layers.Dense(4, use_bias=False, name="double")
    inputs = keras.Input((4,))
    teacher = keras.Model(inputs, double(double(inputs)))
    double.kernel.assign(2.0 * np.eye(4))
    x = examples()[0]
    taps = [Tap("double", call=0), Tap("double", call=1), Tap("double", side="input", call=1)]
    train = TeacherCache(tmp_path, teacher, dtype="float32", layers=taps).label(x)
    found = read(train)["teacher_features"]
    for key, factor in (("double#0", 2.0), ("double#1", 4.0), ("double:input#1", 2.0)):
        np.testing.assert_allclose(found[key], factor * x, rtol=1e-6)
    np.testing.assert_allclose(outputs(train), predicted(teacher, x), rtol=1e-6)


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ("hidde", ValueError, r"no such layer.*'hidde'. Did you mean 'hidden'\? Available: "),
        (["hidden", "hidden"], ValueError, "each value once"),
        (3, TypeError, "list of names or keras_kd.features.Tap objects. Received: layers=3"),
        ([3], TypeError, r"Received: layers=\[3\]"),
        (Tap("hidden", side="attention_scores"), ValueError, "hidden"),
    ],
)
def test_layers_that_are_not_there_are_refused(tmp_path, layers, error, message):
    with pytest.raises(error, match=message):
        TeacherCache(tmp_path, net(), layers=layers)


def test_what_a_function_gives_has_plain_names(tmp_path):
    tap = Tap("a", side="input")
    with pytest.raises(TypeError, match=r"keras.Model alone.*layers=\[.*'a'.*\], .*function"):
        TeacherCache(tmp_path, lambda x: x, layers=[tap])


@pytest.mark.parametrize("answer", [np.full((4, 3), 1.0 + 2.0j), np.full((4, 3), "yes")])
def test_answers_that_are_no_real_numbers_are_refused(tmp_path, answer):
    with pytest.raises(
        TypeError, match=r"real numbers.*array of (complex128|<U3) and shape \(4, 3\)"
    ):
        TeacherCache(tmp_path, lambda x: answer).label(np.zeros((4, 2)))


# Other arguments.


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"path": None}, TypeError, "must be a path. Received: path=None"),
        ({"path": "nosuch://b/cache"}, ValueError, "a kind that fsspec knows.*path='nosuch://b/c"),
        ({"path": __file__}, ValueError, "must be a folder.*a file"),
        ({"teacher": "teacher.keras"}, TypeError, "keras.Model, a function.*'teacher.keras'"),
        ({"teacher": keras.Sequential([keras.layers.Dense(1)])}, ValueError, "not built"),
        ({"dtype": "int8"}, ValueError, r"one of \('float16', 'bfloat16', 'float32'\).*'int8'"),
        ({"dtype": None}, ValueError, "Received: dtype=None"),
        ({"top_k": 0}, ValueError, "at least 1. Received: top_k=0"),
        ({"top_k": 2.5}, TypeError, "whole number.*top_k=2.5"),
        ({"from_logits": 1}, ValueError, "True, False or None. Received: from_logits=1"),
        ({"from_logits": "yes"}, ValueError, "True, False or None. Received: from_logits='yes'"),
    ],
    ids=str,
)
def test_wrong_arguments_are_refused(tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        TeacherCache(**{"path": tmp_path, "teacher": net(), **arguments})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "at least 1. Received: batch_size=0"),
        ({"batch_size": 1.5}, TypeError, "whole number.*batch_size=1.5"),
        ({"check": "none"}, ValueError, r"one of \('all', 'start'\). Received: check='none'"),
    ],
    ids=str,
)
def test_wrong_arguments_of_label_are_refused(tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        TeacherCache(tmp_path, teacher_of(logits())).label(X, **arguments)
