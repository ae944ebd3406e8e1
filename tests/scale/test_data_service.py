"""A labelled stream that goes through the tf.data service has each answer beside its example."""

import numpy as np
import pytest
import tensorflow as tf
from caching import Lines, lines, numbers

from keras_kd import TeacherCache

SERVICE = tf.data.experimental.service
MODES = ["parallel_epochs", "distributed_epoch"]
COUNT, BATCH = 256, 8


@pytest.fixture
def started():
    """Starts a dispatcher with so many workers, and returns its address; all end with the test."""
    dispatcher = SERVICE.DispatchServer(SERVICE.DispatcherConfig(port=0))
    address, workers = dispatcher.target.split("://")[1], []

    def start(count):
        for _ in range(count):
            config = SERVICE.WorkerConfig(dispatcher_address=address, heartbeat_interval_ms=100)
            workers.append(SERVICE.WorkerServer(config))
        return dispatcher.target

    yield start
    for worker in workers:
        worker._stop()
    dispatcher._stop()


@pytest.fixture
def cache(tmp_path):
    cache = TeacherCache(tmp_path, Lines(), dtype="float32")
    cache.label(examples())
    return cache


def examples():
    return numbers(COUNT), np.arange(COUNT) % 5


def in_arrays(cache):
    x, y = examples()
    return tf.data.Dataset.from_tensor_slices(({"inputs": x, **cache.answers()}, y))


def in_a_pipeline(cache):
    pairs = tf.data.Dataset.from_tensor_slices(examples())
    both = tf.data.Dataset.zip(pairs, tf.data.Dataset.from_tensor_slices(cache.answers()))
    return both.map(lambda pair, answer: ({"inputs": pair[0], **answer}, pair[1]))


def through(data, address, mode, **settings):
    return data.batch(BATCH).apply(SERVICE.distribute(mode, address, **settings))


def positions(batches):
    """The examples' numbers, once their answers and labels were found to be their own."""
    found = []
    for x, y in batches:
        inputs = x["inputs"].numpy()
        np.testing.assert_array_equal(x["teacher_outputs"], lines(inputs))
        np.testing.assert_array_equal(y, inputs[:, 0].astype("int64") % 5)
        found.append(inputs[:, 0].astype(int))
    return found


@pytest.mark.parametrize(
    ("made", "mode"),
    [
        (in_a_pipeline, MODES[0]),
        (in_arrays, MODES[1]),
        pytest.param(in_arrays, MODES[0], marks=pytest.mark.slow),  # the mode of the first
    ],
)
def test_two_workers_hand_out_each_example_with_its_answer(cache, started, made, mode):
    address = started(2)
    found = np.concatenate(positions(through(made(cache).shuffle(COUNT), address, mode)))
    times = 1 if mode == "distributed_epoch" else 2  # or every worker goes through all data
    np.testing.assert_array_equal(np.sort(found), np.repeat(np.arange(COUNT), times))


def test_students_of_one_stream_get_the_same_batches_in_the_same_order(cache, started):
    address = started(1)
    data = in_arrays(cache).shuffle(COUNT).repeat()
    seen = [
        positions(
            through(
                data,
                address,
                "parallel_epochs",
                job_name="students",
                cross_trainer_cache=SERVICE.CrossTrainerCache(trainer_id=student),
            ).take(2 * COUNT // BATCH)
        )
        for student in ("first", "second")
    ]
    np.testing.assert_array_equal(*seen)
    for epoch in np.split(np.concatenate(seen[0]), 2):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(COUNT))


def test_a_job_name_alone_parts_the_batches_among_the_students(cache, started):
    address = started(1)
    first, second = (
        iter(through(in_arrays(cache), address, "distributed_epoch", job_name="students"))
        for _ in range(2)
    )
    some = positions([next(first)])
    seen = np.concatenate([*some, *positions(second), *positions(first)])
    np.testing.assert_array_equal(np.sort(seen), np.arange(COUNT))


def test_what_label_returns_cannot_be_sent(cache, started):
    labelled = through(cache.label(examples()), started(1), "parallel_epochs")
    with pytest.raises(tf.errors.InvalidArgumentError):
        next(iter(labelled))
