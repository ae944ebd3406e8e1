"""Each view is augmented as the teacher saw it, in every epoch, and all of them come."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from caching import Lines, answers_are_read_from_files, lines, numbers, read
from models_for_tests import EAGER, inferred, net, sgd

from keras_kd import Distiller, TeacherCache

pytestmark = pytest.mark.core

COUNT, VIEWS = 10, 3


def noisy(x, seed):
    return x + tf.random.stateless_uniform(tf.shape(x), seed)


def named(x, seed):
    """Says which example and which view it is."""
    del x
    return tf.cast(seed, tf.float32)


def labelled(path, augment=named, views=VIEWS, count=COUNT, **kwargs):
    cache = TeacherCache(path, Lines(), dtype="float32")
    return cache.label(numbers(count), augment=augment, views=views, **kwargs)


def views_of(train, passes):
    """Which view each pass gave, after a look at the positions."""
    pairs = read(train.repeat(passes))["inputs"].reshape(passes, COUNT, 2)
    np.testing.assert_array_equal(pairs[..., 0], np.tile(np.arange(COUNT), (passes, 1)))
    np.testing.assert_array_equal(pairs[..., 1], pairs[:, :1, 1] + np.zeros(COUNT))
    return [int(view) for view in pairs[:, 0, 1]]


@pytest.mark.alike
def test_the_student_sees_the_very_pixels_that_the_teacher_saw(tmp_path):
    seen = {}

    def teacher(x):
        answers = np.random.default_rng(len(seen)).normal(size=(len(x), 3)).astype("float32")
        for image, answer in zip(x, answers, strict=True):
            seen[image.tobytes()] = answer
        return answers

    images = np.random.default_rng(1).uniform(size=(COUNT, 6, 6, 3)).astype("float32")

    def augment(x, seed):
        x = tf.image.stateless_random_crop(x, (4, 4, 3), seed)
        x = tf.image.stateless_random_flip_left_right(x, seed)
        return tf.image.stateless_random_brightness(x, 0.3, seed)

    cache = TeacherCache(tmp_path, teacher, dtype="float32", from_logits=True)
    train = cache.label((images, np.arange(COUNT)), augment=augment, views=VIEWS)
    assert train.element_spec[0]["inputs"].shape == (4, 4, 3)
    shuffled, epochs = train.shuffle(COUNT).batch(4).unbatch(), []
    for _ in range(2 * VIEWS):
        x, y = read(shuffled)
        assert sorted(y) == list(range(COUNT))
        for image, answer in zip(x["inputs"], x["teacher_outputs"], strict=True):
            np.testing.assert_array_equal(answer, seen[image.tobytes()])
        epochs.append(x["inputs"][np.argsort(y)].tobytes())
    assert len(set(epochs[:VIEWS])) == VIEWS
    assert set(epochs[:VIEWS]) == set(epochs[VIEWS:])


@pytest.mark.alike
def test_all_views_come_before_one_comes_again_and_in_changing_orders(tmp_path):
    train = labelled(tmp_path)
    assert train.cardinality() == COUNT
    orders = np.reshape(views_of(train, 8 * VIEWS), (8, VIEWS))
    np.testing.assert_array_equal(np.sort(orders), np.tile(np.arange(VIEWS), (8, 1)))
    assert len(set(map(tuple, orders))) > 1


@pytest.mark.slow
@pytest.mark.alike
def test_the_order_follows_the_seed(tmp_path):
    orders = []
    for seed in (3, 3, 4):
        keras.utils.set_random_seed(seed)
        orders.append(tuple(views_of(labelled(tmp_path), 4 * VIEWS)))
    assert orders[0] == orders[1]
    assert len(set(orders)) > 1


@pytest.mark.alike
def test_one_view_is_the_same_in_every_epoch(tmp_path):
    train = labelled(tmp_path, noisy, views=1)
    first, second = (read(train)["inputs"] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (first != numbers(COUNT)).all()


def contents(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*.tfrecord")}


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr("keras_kd.cache.identity._SHARD_EXAMPLES", 4)
    monkeypatch.setattr("keras_kd.cache.identity._BLOCK_EXAMPLES", 2)


@pytest.mark.alike
@pytest.mark.usefixtures("small_shards")
def test_a_view_depends_on_its_example_and_its_number_alone(tmp_path):
    labelled(tmp_path / "at once", noisy, views=2)
    expected = contents(tmp_path / "at once")
    assert len(expected) == 3 * 2
    by_two = tmp_path / "by two"
    for worker in (1, 0):
        cache = TeacherCache(by_two, Lines(), dtype="float32")
        cache.label_shard(numbers(COUNT), worker, 2, augment=noisy, views=2, batch_size=5)
    assert contents(by_two) == expected
    for part in ("view-000/shard-00001", "view-001/shard-00000"):
        for suffix in (".json", ".tfrecord"):
            (by_two / (part + suffix)).unlink()
    labelled(by_two, noisy, views=2, batch_size=3)  # in parts, and in other batches
    assert contents(by_two) == expected


@pytest.mark.alike
@pytest.mark.usefixtures("small_shards")
def test_views_of_shards_are_read_with_their_answers(tmp_path, monkeypatch):
    from_memory = labelled(tmp_path, noisy, views=2)
    answers_are_read_from_files(monkeypatch)
    for train in (from_memory, labelled(tmp_path, noisy, views=2)):
        seen = [read(train) for _ in range(2)]
        assert len({x["inputs"].tobytes() for x in seen}) == 2
        for x in seen:
            np.testing.assert_allclose(x["teacher_outputs"], lines(x["inputs"]), rtol=1e-6)


class Epochs(keras.callbacks.Callback):
    """What each epoch's loss was."""

    def __init__(self):
        super().__init__()
        self.losses = []

    def on_epoch_end(self, epoch, logs=None):
        self.losses.append(logs["kd_loss"])


def fitted(path, strategy=None, epochs=2 * VIEWS):
    """The losses of a student that stands still: one value for each view."""
    x, y = np.random.default_rng(0).normal(size=(COUNT, 4)).astype("float32"), np.zeros(COUNT)
    teacher = net(9, seed=2)
    cache = TeacherCache(path, teacher, dtype="float32")
    train = cache.label((x, y), augment=noisy, views=VIEWS)
    train = train.shuffle(COUNT).batch(5).prefetch(2)
    with strategy.scope() if strategy else tf.device("CPU"):
        model = Distiller(net(), alpha=0.0)
        model.compile(sgd(0.0), None, **({} if strategy else EAGER))
    epoch = Epochs()
    model.fit(train, epochs=epochs, verbose=0, callbacks=[epoch])
    return np.round(epoch.losses, 5)


def test_fit_draws_another_view_in_each_epoch(tmp_path):
    found = fitted(tmp_path)
    assert len(set(found[:VIEWS])) == VIEWS
    assert set(found[:VIEWS]) == set(found[VIEWS:])


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="strategies are TensorFlow's")
def test_views_reach_replicas(tmp_path):
    found = fitted(tmp_path, tf.distribute.MirroredStrategy(["cpu:0"]), epochs=4 * VIEWS)
    assert len(set(found)) == VIEWS


@pytest.mark.alike
def test_an_augmentation_of_dicts_and_of_the_teachers_other_size(tmp_path):
    def crop(x, seed):
        return {"image": tf.image.stateless_random_crop(x["image"], (4, 4, 1), seed)}

    images = np.random.default_rng(0).uniform(size=(COUNT, 6, 6, 1)).astype("float32")
    inputs = {"image": keras.Input((4, 4, 1), name="image")}
    outputs = keras.layers.Dense(2)(keras.layers.Flatten()(inputs["image"]))
    teacher = keras.Model(inputs, outputs)
    cache = TeacherCache(tmp_path, teacher, dtype="float32")
    x = read(cache.label(({"image": images}, np.zeros(COUNT)), augment=crop, views=2))[0]
    expected = inferred(teacher, x["inputs"])
    np.testing.assert_allclose(x["teacher_outputs"], expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(
        ValueError, match=r"shape of the teacher's input.*\(6, 6, 1\), expected: \(4"
    ):
        cache.label(({"image": images}, np.zeros(COUNT)))


@pytest.mark.alike
def test_an_augmentation_that_differs_each_time_is_refused(tmp_path):
    def restless(x, seed):
        return x + tf.random.uniform(tf.shape(x))

    with pytest.raises(ValueError, match=r"the same for the same example and seed.*stateless"):
        labelled(tmp_path, restless)


@pytest.mark.alike
def test_an_augmentation_with_numbers_from_the_global_seed_is_refused(tmp_path):
    def ordered(x, seed):
        return x + tf.random.uniform(tf.shape(x), seed=1)

    tf.random.set_seed(3)  # from here on every reading draws the same numbers, in its order
    with pytest.raises(ValueError, match=r"the same for the same example and seed.*stateless"):
        labelled(tmp_path, ordered)


@pytest.mark.alike
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"views": 0, "augment": noisy}, ValueError, "integer from 1. Received: views=0"),
        ({"views": True, "augment": noisy}, ValueError, "Received: views=True"),
        ({"views": 1.5, "augment": noisy}, ValueError, "Received: views=1.5"),
        ({"views": 2}, ValueError, r"all be the same: give `augment=f\(x, seed\)`.*augment=None"),
        ({"augment": "flip"}, TypeError, r"function f\(x, seed\). Received: augment='flip'"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        TeacherCache(tmp_path, Lines()).label(numbers(4), **arguments)
