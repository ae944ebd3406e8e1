"""Several workers label one data set."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from caching import Lines, assert_labelled, numbers
from variants import first_of

from keras_kd import TeacherCache

pytestmark = [pytest.mark.core, pytest.mark.alike]

X = numbers(100)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr("keras_kd.cache.identity._SHARD_EXAMPLES", 8)
    monkeypatch.setattr("keras_kd.cache.identity._BLOCK_EXAMPLES", 4)


def work(path, index, count=3, x=X, **kwargs):
    teacher = Lines()
    cache = TeacherCache(path, teacher, dtype="float32")
    assert cache.label_shard(x, index, count, batch_size=4, **kwargs) is None
    return teacher.asked, cache.complete


@first_of("order", [(2, 0, 1), (0, 1, 2)])
def test_workers_in_any_order_complete_the_cache(tmp_path, order):
    states = [work(tmp_path, index) for index in order]
    assert [complete for _, complete in states] == [False, False, True]
    # Thirteen shards, and to some a look at what the function said of the first block.
    assert sum(asked for asked, _ in states) <= 100 + 3 * 4
    teacher = Lines()
    assert_labelled(TeacherCache(tmp_path, teacher, dtype="float32").label(X), X)
    assert teacher.asked == 4
    assert_labelled(TeacherCache(tmp_path, None, dtype="float32").label(X), X)


def test_a_worker_does_its_part_once(tmp_path):
    work(tmp_path, 0)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.tfrecord")}
    assert work(tmp_path, 0)[0] == 4
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.tfrecord")} == before


def test_label_does_what_no_worker_has_done(tmp_path):
    work(tmp_path, 1)
    with pytest.raises(ValueError, match="Answers are missing"):
        TeacherCache(tmp_path, None, dtype="float32").label(X)
    teacher = Lines()
    cache = TeacherCache(tmp_path, teacher, dtype="float32")
    assert_labelled(cache.label(X, batch_size=4), X)
    assert teacher.asked == 100 - 4 * 8


def test_more_workers_than_shards(tmp_path):
    for index in (5, 0, 2, 1, 4, 3):
        work(tmp_path, index, 6, X[:20])
    assert_labelled(TeacherCache(tmp_path, None, dtype="float32").label(X[:20]), X[:20])


def test_workers_with_other_data_are_found_out(tmp_path):
    work(tmp_path, 0)
    other = X.copy()
    other[50] = 0.0  # in the first worker's seventh shard
    with pytest.raises(ValueError, match="other content among the examples 48 to 55"):
        work(tmp_path, 1, x=other)
    other = X.copy()
    other[60] = 0.0  # in the second worker's own
    work(tmp_path, 1, x=other)
    with pytest.raises(ValueError, match="other content among the examples 56 to 63"):
        work(tmp_path, 2)
    with pytest.raises(ValueError, match="shrank"):
        work(tmp_path, 1, x=X[:99])


@pytest.mark.parametrize(
    ("index", "count", "error", "message"),
    [
        (3, 3, ValueError, "`index` must be below `count`. Received: index=3, count=3"),
        (-1, 3, ValueError, "at least 0. Received: index=-1"),
        (0, 0, ValueError, "at least 1. Received: count=0"),
        (0.5, 3, TypeError, "whole number.*index=0.5"),
        (0, "3", TypeError, "whole number.*count='3'"),
    ],
)
def test_wrong_parts_are_refused(tmp_path, index, count, error, message):
    with pytest.raises(error, match=message):
        work(tmp_path, index, count)
    assert not list(tmp_path.iterdir())


WORKER = """
import sys
sys.path.insert(0, sys.argv[1])
import keras_kd.cache.identity as identity
identity._SHARD_EXAMPLES, identity._BLOCK_EXAMPLES = 8, 4
from caching import Lines, numbers
from keras_kd import TeacherCache
cache = TeacherCache(sys.argv[2], Lines(), dtype="float32")
cache.label_shard(numbers(100), int(sys.argv[3]), 3, batch_size=4)
"""


@pytest.mark.slow
def test_workers_at_once_complete_the_cache(tmp_path):
    tests = Path(__file__).parents[1]
    command = [sys.executable, "-c", WORKER, str(tests), str(tmp_path)]
    workers = [subprocess.Popen([*command, str(index)], cwd=tests.parent) for index in range(3)]
    assert [worker.wait(timeout=300) for worker in workers] == [0, 0, 0]
    assert_labelled(TeacherCache(tmp_path, None, dtype="float32").label(X), X)
    np.testing.assert_equal(len(list(tmp_path.rglob("*.tfrecord"))), 13)
