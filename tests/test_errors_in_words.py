"""Wrong calls that once ended in somebody else's words, or in none."""

import keras
import numpy as np
import pytest
from models_for_tests import distiller, examples, net

import keras_kd
from keras_kd import callbacks, losses, teachers

X, Y = examples(40)
NAN = float("nan")


def cache(path, teacher=None, **kwargs):
    return keras_kd.TeacherCache(path, teacher or net(), **kwargs)


def unbuilt(_):
    teachers.fold_batch_normalization(keras.Sequential([keras.layers.Dense(3)]))


def on_a_folder(path):
    teachers.TFLiteTeacher(path)


def two_models_of_other_inputs(student, teacher):
    def fit(_):
        distiller(net(features=student), net(features=teacher)).fit(np.ones((8, 6)), np.zeros(8))

    return fit


def other_lengths(path):
    mix = keras_kd.cache.MixLabels(keras.layers.MixUp())
    mix({"inputs": np.ones((4, 2, 2, 1)), "teacher_outputs": np.ones((4, 3))}, np.zeros(5, int))


CALLS = {
    "augment of one argument": (
        lambda path: cache(path).label(X, augment=lambda x: x),
        TypeError,
        r"`augment` must be a function f\(x, seed\).*Received: augment\(x\)",
    ),
    "strings": (
        lambda path: cache(path, lambda x: np.array(["a"] * len(x))).label(X),
        TypeError,
        "real numbers.*from example 0 on",
    ),
    "labels of other lengths": (other_lengths, ValueError, "4 images beside 5 labels"),
    "one weight": (
        lambda _: teachers.Ensemble([net(), net()], weights=2),
        ValueError,
        "Received: weights=2",
    ),
    "no file": (lambda _: teachers.TFLiteTeacher("/no.tflite"), FileNotFoundError, "no such file"),
    "no path": (lambda _: teachers.TFLiteTeacher(None), TypeError, "Received: path=None"),
    "a folder": (on_a_folder, ValueError, "a folder"),
    "unbuilt": (unbuilt, ValueError, "built=False"),
    "no path to export to": (
        lambda _: keras_kd.export_student(net(), None),
        TypeError,
        "Received: path=None",
    ),
    "schedule of none": (
        lambda _: callbacks.AlphaScheduler(lambda: 0.5),
        TypeError,
        r"Received: schedule\(\)",
    ),
    "schedule of three": (
        lambda _: callbacks.TemperatureScheduler(lambda a, b, c: 0.5),
        TypeError,
        r"Received: schedule\(a, b, c\)",
    ),
    "no name": (
        lambda _: callbacks.LossWeightScheduler(3, lambda epoch, weight: 1.0),
        TypeError,
        "Received: name=3",
    ),
    "a teacher of other inputs": (
        two_models_of_other_inputs(6, 7),
        ValueError,
        r"The teacher takes inputs of another.*\(.*, 6\), teacher 'func.*' of \(None, 7\)",
    ),
    "a student of other inputs": (
        two_models_of_other_inputs(7, 6),
        ValueError,
        r"The student takes inputs of another.*\(.*, 6\), student 'func.*' of \(None, 7\)",
    ),
    "a layer by number": (
        lambda _: losses.FitNetLoss(layers={"h": 3}),
        TypeError,
        "where 3 is neither",
    ),
    "strings to a loss": (lambda _: losses.KDLoss()("a", "b"), TypeError, "Received: 'a'"),
    "lists to a loss": (
        lambda _: losses.KDLoss()([[1.0, 2.0]], [[1.0, 2.0]]),
        TypeError,
        r"np\.array.*Received: 1\.0",
    ),
    "no labels": (
        lambda _: distiller(net(), net(), kd_loss=losses.DKDLoss(), alpha=0.0).fit(X, verbose=0),
        ValueError,
        "needs labels",
    ),
    "a cache below a file": (lambda path: cache(path / "file" / "x"), ValueError, "is a file"),
}


@pytest.mark.parametrize(("call", "error", "message"), CALLS.values(), ids=CALLS)
def test_a_wrong_call_is_told_in_words(call, error, message, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(error, match=message):
        call(tmp_path)


def test_a_function_that_raises_says_of_which_examples(tmp_path):
    def fails(x):
        if (x[:, 0] == X[20, 0]).any():
            raise KeyError("the user's own")
        return 10.0 * x[:, :3]

    with pytest.raises(KeyError, match="own") as caught:
        cache(tmp_path, fails, from_logits=True).label(X, batch_size=5)
    assert "the examples 20 to 24; complete shards stay" in caught.value.__notes__[0]


@pytest.mark.parametrize("length", [30, 50])
def test_data_that_change_their_length_while_they_train(tmp_path, length):
    import tensorflow as tf

    lengths = [40]

    def examples_now():
        for number in range(lengths[-1]):
            yield X[number % 40], Y[number % 40]

    signature = (tf.TensorSpec((4,)), tf.TensorSpec((), tf.int32))
    data = tf.data.Dataset.from_generator(examples_now, output_signature=signature)
    train = cache(tmp_path).label(data).batch(8)
    lengths.append(length)
    with pytest.raises(
        ValueError, match=rf"have changed their length.*{min(length, 41)} elem.*40 la"
    ):
        distiller(net()).fit(train, verbose=0, shuffle=False)


def test_what_keras_runs_on_other_shapes_is_not_refused():
    """A Sequential net that pools takes images of any size, and inputs by name in any order."""

    def pooling(width):
        layers = [keras.Input((8, 8, 1)), keras.layers.Conv2D(width, 3)]
        return keras.Sequential(
            [*layers, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
        )

    images = np.zeros((4, 12, 12, 1), "float32")
    distiller(pooling(2), pooling(4)).fit(images, Y[:4], verbose=0)

    def named(width):
        b, a = keras.Input((5,), name="b"), keras.Input((2,), name="a")
        hidden = keras.layers.Dense(width)(keras.layers.concatenate([b, a]))
        return keras.Model([b, a], keras.layers.Dense(3)(hidden))

    x = {"a": np.zeros((4, 2), "float32"), "b": np.zeros((4, 5), "float32")}
    distiller(named(2), named(4)).fit(x, Y[:4], verbose=0)
