"""What labelling would take is told before anything is written."""

import time

import numpy as np
import pytest
import tensorflow as tf
from caching import Lines, numbers

from keras_kd import TeacherCache

pytestmark = [pytest.mark.core, pytest.mark.alike]


class Slow(Lines):
    def __call__(self, x):
        time.sleep(0.02)
        return super().__call__(x)


def test_bytes_are_those_that_labelling_takes_and_nothing_is_written(tmp_path):
    x = numbers(1000)
    cache = TeacherCache(tmp_path / "answers", Lines(), top_k=2, from_logits=True)
    augment = {"augment": lambda x, seed: x + 1.0, "views": 3}
    estimate = cache.estimate(x, **augment)
    assert not (tmp_path / "answers").exists()
    cache.label(x, **augment)
    assert estimate.bytes_per_example == cache.bytes_per_example
    assert estimate.bytes == 1000 * 3 * cache.bytes_per_example
    shards = sum(p.stat().st_size for p in (tmp_path / "answers").rglob("*.tfrecord"))
    assert estimate.bytes <= shards < 1.1 * estimate.bytes


def test_time_is_that_of_the_teacher_and_is_bounded(tmp_path):
    teacher = Slow()
    cache = TeacherCache(tmp_path, teacher)
    estimate = cache.estimate(numbers(64), batch_size=8)
    assert estimate.seconds >= 8 * 0.02  # each of 8 batches sleeps
    assert estimate.measured_on == 56  # the first batch pays what is paid once
    teacher.asked = 0
    assert cache.estimate(numbers(64), batch_size=8, most_seconds=0.0).measured_on == 8
    assert teacher.asked == 16
    assert cache.estimate(numbers(5)).measured_on == 5


def test_data_that_do_not_tell_their_length_have_no_sum(tmp_path):
    data = tf.data.Dataset.from_tensor_slices(numbers(9)).filter(lambda x: x[0] < 5)
    estimate = TeacherCache(tmp_path, Lines()).estimate(data)
    assert (estimate.examples, estimate.bytes, estimate.seconds) == (None, None, None)
    assert "unknown number" in str(estimate)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"dataset": np.zeros((0, 1))}, "at least one example"),
        ({"batch_size": 0}, "Received: batch_size=0"),
        ({"most_seconds": -1}, "Received: most_seconds=-1"),
        ({"views": 2}, "give `augment=f"),
    ],
)
def test_wrong_arguments_say_what_is_expected(tmp_path, arguments, says):
    with pytest.raises(ValueError, match=says):
        TeacherCache(tmp_path, Lines()).estimate(**{"dataset": numbers(4), **arguments})


def test_there_must_be_a_teacher(tmp_path):
    with pytest.raises(ValueError, match="teacher=None"):
        TeacherCache(tmp_path, None).estimate(numbers(4))
