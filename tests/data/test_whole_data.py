"""A part is read, and the whole stays."""

import os

import numpy as np
import pytest

from keras_kd import TeacherCache
from keras_kd.data.whole_data import cached, ended

tf = pytest.importorskip("tensorflow")
DATA_DIR = os.environ.get("KERAS_KD_DATA_DIR")


def cut_off_at_first(count, after):
    """Numbers of which the first reading sees some alone, as one that was cancelled."""
    readings = []

    def numbers():
        readings.append(None)
        yield from range(after if len(readings) == 1 else count)

    spec = tf.TensorSpec((), tf.int64)
    return tf.data.Dataset.from_generator(numbers, output_signature=spec)


def test_a_part_is_not_kept_for_the_whole():
    data = cached(cut_off_at_first(10, 3), 10)
    assert len(data) == 10
    with pytest.raises(tf.errors.FailedPreconditionError):
        list(data)
    for _ in range(2):
        assert list(data.as_numpy_iterator()) == list(range(10))


def test_what_was_read_is_read_once():
    data = cached(cut_off_at_first(10, 3), 3)
    for _ in range(2):  # the generator would give more in its second reading
        assert list(data.as_numpy_iterator()) == [0, 1, 2]


def test_who_stops_early_ends_the_reading():
    read, ends = [], []

    def numbers():
        for number in range(1000):
            read.append(number)
            yield number
        ends.append(None)

    spec = tf.TensorSpec((), tf.int64)
    walk = ended(tf.data.Dataset.from_generator(numbers, output_signature=spec).batch(2))
    np.testing.assert_array_equal(next(walk), [0, 1])
    walk.close()
    stopped_at = len(read)
    assert stopped_at < 50 and not ends
    assert [len(batch) for batch in ended(tf.data.Dataset.range(5).batch(2))] == [2, 2, 1]


def test_what_is_wrong_is_told_to_who_reads_it_alone():
    numbers = tf.data.Dataset.range(6).map(lambda x: tf.debugging.check_numerics(1 / (x - 4), "4"))
    walk = ended(numbers.batch(2))
    next(walk)
    walk.close()
    with pytest.raises(tf.errors.InvalidArgumentError, match="4"):
        list(ended(numbers.batch(2)))


@pytest.mark.slow  # a race that one run of two loses where the look cancels what it reads
@pytest.mark.skipif(not DATA_DIR, reason="KERAS_KD_DATA_DIR names no folder of TFDS data")
def test_a_look_at_data_leaves_their_cache_whole(tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")
    builder = tfds.builder("cifar10", data_dir=DATA_DIR)
    for turn in range(12):
        images = builder.as_dataset(split="test").map(
            lambda example: tf.cast(example["image"], tf.float32),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        images = images.cache()
        teacher = TeacherCache(tmp_path / str(turn), lambda x: tf.reduce_mean(x, (1, 2)))
        teacher.estimate(images, batch_size=16, most_seconds=0.0)
        assert sum(1 for _ in images.take(1600)) == 1600
