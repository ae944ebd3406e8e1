"""A cache knows its data, its teacher, its augmentation and its settings again."""

import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from caching import Lines, assert_labelled, numbers, outputs, predicted
from models_for_tests import net
from variants import first_of

from keras_kd import TeacherCache

pytestmark = [pytest.mark.core, pytest.mark.alike]


def of_unknown_length(x):
    return tf.data.Dataset.from_tensor_slices(x).filter(lambda _: True)


def generated(x):
    return tf.data.Dataset.from_generator(
        lambda: iter(x), output_signature=tf.TensorSpec(x.shape[1:], x.dtype)
    )


def changed(x, place):
    x = x.copy()
    x[place] += 0.5
    return x


def swapped(x):
    x = x.copy()
    x[[3000, 3001]] = x[[3001, 3000]]
    return x


LARGE = numbers(5000)
KINDS = [tf.data.Dataset.from_tensor_slices, of_unknown_length, generated]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A cache of 5,000 examples in three shards, the last of them not full."""
    path = tmp_path_factory.mktemp("labelled")
    TeacherCache(path, Lines(), dtype="float32").label(LARGE)
    return path


@first_of("kind", KINDS)
def test_the_same_data_are_known_again_whatever_holds_them(labelled, kind):
    teacher = Lines()
    cache = TeacherCache(labelled, teacher, dtype="float32")
    assert_labelled(cache.label(kind(LARGE), batch_size=300), LARGE)
    assert teacher.asked == 16  # a function is known by its answers
    assert cache.label(kind(LARGE), check="start").cardinality() == 5000


@first_of("kind", KINDS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: changed(x, 0), r"belongs to other data.*Give the data that were labelled"),
        (lambda x: x[::-1], "belongs to other data, or to the same data in another order"),
        (lambda x: changed(x, 2500), r"not the one .*or comes in another order.*2048 to 4095"),
        (lambda x: changed(x, 4999), "other content among the examples 4096 to 4999"),
        (swapped, "in another order.*2048 to 4095"),
        (lambda x: x[:4999], r"shrank .*Received: 4999 examples, 5000 labelled"),
        (lambda x: x[:4096], r"shrank .*Received: 4096 examples, 5000 labelled"),
        (lambda x: x[:2000], r"shrank .*Received: 2000 examples, (2048|5000) labelled"),
        (lambda x: np.concatenate([x, x[:1]]), r"grew .*Received: .*500[01] examples?, 5000 lab"),
        (lambda x: np.concatenate([x, x]), r"grew .*Received: (10000|more than 5000) examples"),
    ],
)
def test_other_data_are_refused(labelled, kind, change, message):
    cache = TeacherCache(labelled, Lines(), dtype="float32")
    with pytest.raises(ValueError, match=message):
        cache.label(kind(change(LARGE)))


def test_a_look_at_the_start_sees_the_start_and_the_length(labelled):
    cache = TeacherCache(labelled, Lines(), dtype="float32")
    with pytest.raises(ValueError, match="other content among the examples 0 to 2047"):
        cache.label(changed(LARGE, 2000), check="start")
    with pytest.raises(ValueError, match="shrank"):
        cache.label(LARGE[:-1], check="start")
    with pytest.raises(ValueError, match="shrank"):
        cache.label(generated(LARGE[:1000]), check="start")


@pytest.mark.parametrize("other", ["int32", "float64"])
def test_data_of_another_type_are_other_data(tmp_path, other):
    TeacherCache(tmp_path, Lines()).label(numbers(5))
    with pytest.raises(ValueError, match="other data"):
        TeacherCache(tmp_path, Lines()).label(numbers(5).astype(other))


def test_a_shuffled_dataset_is_refused(tmp_path):
    data = tf.data.Dataset.from_tensor_slices(numbers(100)).shuffle(100)
    with pytest.raises(ValueError, match=r"without a shuffle, and shuffle what `label` returns"):
        TeacherCache(tmp_path, Lines()).label(data)
    fixed = tf.data.Dataset.from_tensor_slices(numbers(100)).shuffle(
        100, seed=3, reshuffle_each_iteration=False
    )
    TeacherCache(tmp_path, Lines()).label(fixed)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda x: x.batch(4), r"must not be batched.*`unbatch\(\)`.*\(None, 4\).* takes \(4,\)"),
        (lambda x: x.repeat(), "must come to an end.*infinite"),
        (lambda x: x.take(0), "at least one example.*empty"),
        (lambda x: x.filter(lambda x: False), "at least one example.*empty"),
        (lambda x: x.map(lambda x: x[:3]), r"shape of the teacher's input.*\(3,\), expected: \(4"),
        (lambda x: x.map(lambda x: {"image": x, "label": 0}), "as_supervised=True.*'image'"),
        (lambda x: x.map(lambda x: (x, 0, 1.0, 2)), r"x, \(x, y\) or .*elements of 4 parts"),
        (lambda x: x.map(lambda x: ((x, x), 0)), "shape of the teacher's input"),
        (lambda x: x.batch(2).map(tf.RaggedTensor.from_tensor).unbatch(), "dense tensors"),
        (lambda x: [], "unbatched tf.data.Dataset, or arrays"),
        (lambda x: "folder", "unbatched tf.data.Dataset, or arrays.*of type str"),
        (lambda x: (np.zeros((3, 4)), np.zeros(2)), r"equally long.*\['2', '3'\]"),
        (lambda x: (np.zeros((3, 4)), None, np.zeros(3)), "weights belong to labels.*None, sam"),
    ],
)
def test_what_is_no_dataset_of_examples_is_refused(tmp_path, data, message):
    given = data(tf.data.Dataset.from_tensor_slices(np.ones((6, 4), "float32")))
    with pytest.raises((TypeError, ValueError), match=message):
        TeacherCache(tmp_path, net()).label(given)
    assert not list(tmp_path.rglob("*.json"))


def test_a_teacher_whose_weights_moved_is_refused(tmp_path):
    x, teacher = np.ones((6, 4), "float32"), net()
    TeacherCache(tmp_path, teacher).label(x)
    TeacherCache(tmp_path, net()).label(x)  # the same weights again, under other names
    teacher.layers[-1].bias.assign([0.0, 1e-3, 0.0])
    with pytest.raises(ValueError, match=r"another teacher, in its config, .*Load that"):
        TeacherCache(tmp_path, teacher).label(x)


def test_a_teacher_of_another_config_is_refused(tmp_path):
    x = np.ones((6, 4), "float32")
    relu, tanh = (
        keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(2, kind, kernel_initializer="ones")]
        )
        for kind in ("relu", "tanh")
    )
    TeacherCache(tmp_path, relu).label(x)
    with pytest.raises(ValueError, match="another teacher"):
        TeacherCache(tmp_path, tanh).label(x)


def test_a_function_that_changed_is_refused(tmp_path):
    x = numbers(40)
    TeacherCache(tmp_path, Lines()).label(x)
    TeacherCache(tmp_path, Lines(shift=1e-3)).label(x)  # within what is stored
    for other in (Lines(shift=5.0), lambda x: Lines()(x)[:, ::-1]):
        with pytest.raises(ValueError, match=r"another teacher.*function whose answers to the fir"):
            TeacherCache(tmp_path, other).label(x)
    with pytest.raises(ValueError, match="Received: a function, cached: "):
        teacher = net(features=1)
        TeacherCache(tmp_path / "model", teacher).label(x)
        TeacherCache(tmp_path / "model", Lines()).label(x)


def test_a_function_that_ranks_other_classes_first_is_refused(tmp_path):
    x = numbers(40)
    TeacherCache(tmp_path, Lines(), top_k=2).label(x)
    TeacherCache(tmp_path, Lines(), top_k=2).label(x)
    with pytest.raises(ValueError, match="another teacher"):
        TeacherCache(tmp_path, lambda x: Lines()(x)[:, ::-1], top_k=2).label(x)


def flipped(x, seed):
    return -x


SETTINGS = {"dtype": "float32", "layers": ["hidden"]}


@pytest.mark.parametrize(
    ("made", "asked", "message"),
    [
        ({"dtype": "bfloat16"}, {}, "other settings.*Received: dtype='bfloat16', cached: dtype='f"),
        ({"top_k": 2}, {}, "other settings.*Received: top_k=2, cached: top_k=None"),
        ({"layers": []}, {}, r"Received: layers=\[\], cached: layers=\['hidden'\]"),
        ({"from_logits": True}, {}, "Received: from_logits=True, cached: from_logits=None"),
        ({}, {"augment": flipped, "views": 2}, "Received: views=2, cached: views=1"),
        ({}, {"augment": flipped}, "was made with another augmentation. Give that function"),
    ],
)
def test_other_settings_are_refused(labelled_model, made, asked, message):
    path, teacher, x = labelled_model
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}.*{message}"):
        TeacherCache(path, teacher, **{**SETTINGS, **made}).label(x, **asked)


@pytest.fixture(scope="module")
def labelled_model(tmp_path_factory):
    path, teacher, x = tmp_path_factory.mktemp("model"), net(), np.ones((6, 4), "float32")
    TeacherCache(path, teacher, **SETTINGS).label(x)
    return path, teacher, x


def test_another_augmentation_is_refused(tmp_path):
    x = numbers(6, start=1)
    TeacherCache(tmp_path, Lines()).label(x, augment=flipped)
    TeacherCache(tmp_path, Lines()).label(x, augment=lambda x, seed: 0.0 - x)  # does the same
    for other in (lambda x, seed: 2.0 * x, None):
        with pytest.raises(ValueError, match="another augmentation"):
            TeacherCache(tmp_path, Lines()).label(x, augment=other)


LOADED = """
import sys
import keras
keras.layers.Dense(1), keras.layers.Dense(1)  # so that automatic names are others
keras.config.disable_interactive_logging()
import numpy as np
from keras_kd import TeacherCache
teacher = keras.models.load_model(sys.argv[1])
teacher.trainable = False
cache = TeacherCache(sys.argv[2], teacher, dtype="float32")
cache.label(np.load(sys.argv[3]))
"""


@pytest.mark.slow
def test_a_teacher_loaded_in_another_process_is_the_same(tmp_path):
    x = np.random.default_rng(0).normal(size=(6, 8, 8, 1)).astype("float32")
    layers = [keras.layers.Conv2D(2, 3), keras.layers.BatchNormalization(), keras.layers.ReLU()]
    block = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    more = [keras.layers.Dropout(0.5), keras.layers.Flatten(), keras.layers.Dense(3)]
    teacher = keras.Sequential([keras.Input((8, 8, 1)), block, *more])
    teacher.compile("adam", "mse")
    teacher.fit(x, np.zeros((6, 3)), verbose=0)
    teacher.save(tmp_path / "teacher.keras")
    np.save(tmp_path / "x.npy", x)
    cache = TeacherCache(tmp_path / "cache", teacher, dtype="float32")
    np.testing.assert_allclose(outputs(cache.label(x)), predicted(teacher, x), atol=1e-6)
    files = [str(tmp_path / name) for name in ("teacher.keras", "cache", "x.npy")]
    subprocess.run([sys.executable, "-c", LOADED, *files], check=True, timeout=300)


class Own(keras.Model):
    """A teacher without a config, whose answers depend on more than weights."""

    def __init__(self, power):
        super().__init__()
        self.scores, self.power = keras.layers.Dense(3), power

    def call(self, x):
        return self.scores(x) ** self.power

    def get_config(self):
        raise NotImplementedError


def own(power):
    model = Own(power)
    model(np.ones((1, 1)))
    model.set_weights([np.ones((1, 3)), np.arange(3.0)])
    return model


def test_a_model_of_the_users_own_class_is_known_by_its_answers_too(tmp_path):
    TeacherCache(tmp_path, own(1), dtype="float32").label(numbers(20))
    assert len(TeacherCache(tmp_path, own(1), dtype="float32").label(numbers(20))) == 20
    with pytest.raises(ValueError, match=r"of another teacher.*Received: 'own.*first 16 examples"):
        TeacherCache(tmp_path, own(2), dtype="float32").label(numbers(20))
