"""Workers label parts of one data set, and each reads its own alone."""

import json

import numpy as np
import pytest
from caching import Lines, assert_labelled, numbers, outputs
from forging import altered, forge
from variants import first_of

from keras_kd import TeacherCache
from keras_kd.cache.parts import agreement, check_agreement
from keras_kd.cache.shards import Shards

pytestmark = [pytest.mark.core, pytest.mark.alike]

X = numbers(100)
COUNT = 3  # of thirteen shards: four, four and five


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr("keras_kd.cache.identity._SHARD_EXAMPLES", 8)
    monkeypatch.setattr("keras_kd.cache.identity._BLOCK_EXAMPLES", 4)


class Read:
    """Examples by their positions, and which were asked for."""

    def __init__(self, x=X):
        self.x, self.asked = x, []

    def __call__(self, start, stop):
        self.asked.append((start, stop))
        return self.x[start:stop]


def cache_at(path, teacher=None):
    return TeacherCache(path, teacher or Lines(), dtype="float32")


def work(path, index, count=COUNT, *, read=None, examples=100, **kwargs):
    cache = cache_at(path)
    return cache.label_part(read or Read(), index, count, examples=examples, batch_size=4, **kwargs)


@first_of("order", [(2, 0, 1), (0, 1, 2)])
def test_parts_in_any_order_make_the_cache_that_one_process_makes(tmp_path, order):
    done = {index: work(tmp_path / "parts", index) for index in order}
    assert [done[index].labelled for index in range(COUNT)] == [32, 32, 36]
    assert [done[index].examples for index in range(COUNT)] == [32, 32, 36]
    assert_labelled(TeacherCache(tmp_path / "parts", None, dtype="float32").label(X), X)
    cache_at(tmp_path / "whole").label(X, batch_size=4)
    for file in (tmp_path / "whole").rglob("*.tfrecord"):
        twin = tmp_path / "parts" / file.relative_to(tmp_path / "whole")
        assert twin.read_bytes() == file.read_bytes()


def test_a_worker_reads_the_first_examples_and_its_own_part(tmp_path):
    read = Read()
    work(tmp_path, 1, read=read)
    assert read.asked == [(0, 16), (8, 16), (32, 64)]


def test_what_is_complete_is_neither_read_nor_asked_again(tmp_path):
    work(tmp_path, 1)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("shard-*")}
    (tmp_path / "view-000" / "shard-00005.json").unlink()
    read = Read()
    done = work(tmp_path, 1, read=read)
    assert read.asked[-1] == (40, 48)
    assert (done.labelled, done.bytes) == (8, before_bytes(tmp_path, 5))
    read = Read()
    assert work(tmp_path, 1, read=read).labelled == 0
    assert read.asked == [(0, 16), (8, 16)]
    after = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("shard-*")}
    assert {file.stem for file in before if before[file] != after[file]} == {"shard-00005"}


def before_bytes(path, number):
    return (path / "view-000" / f"shard-{number:05}.tfrecord").stat().st_size


@pytest.mark.slow
def test_views_of_a_part_are_those_of_the_whole(tmp_path):
    import tensorflow as tf

    def shifted(x, seed):
        return x + tf.random.stateless_uniform(x.shape, seed)

    for index in range(2):
        work(tmp_path / "parts", index, 2, examples=20, augment=shifted, views=2)
    whole = cache_at(tmp_path / "whole")
    whole.label(X[:20], batch_size=4, augment=shifted, views=2)
    parts = TeacherCache(tmp_path / "parts", None, dtype="float32")
    for view in range(2):
        found, expected = parts.answers(view), whole.answers(view)
        np.testing.assert_array_equal(found["teacher_outputs"], expected["teacher_outputs"])


def test_more_parts_than_shards(tmp_path):
    sizes = [work(tmp_path, index, 5, examples=20).labelled for index in range(5)]
    assert sorted(sizes) == [0, 0, 4, 8, 8]
    np.testing.assert_allclose(
        outputs(TeacherCache(tmp_path, None, dtype="float32").label(X[:20])),
        Lines()(X[:20]),
    )


def test_what_is_missing_is_named(tmp_path):
    cache = cache_at(tmp_path)
    assert cache.missing_parts(COUNT) == [0, 1, 2]
    work(tmp_path, 1)
    assert cache.missing_parts(COUNT) == [0, 2]
    reader = TeacherCache(tmp_path, None, dtype="float32")
    wanted = "9 shards of 13 missing.*begin at the examples 0 of view 0, 8 of view 0, .*64"
    with pytest.raises(ValueError, match=wanted):
        reader.label(X)
    with pytest.raises(ValueError, match="9 shards of 13 missing"):
        reader.answers()
    cache.label(X, batch_size=4)  # does what no worker has done
    assert cache.missing_parts(COUNT) == []


class Overtaken(Lines):
    """Is so slow with its first batch that another worker labels the whole part meanwhile."""

    def __init__(self, path):
        super().__init__()
        self.path, self.other = path, None

    def __call__(self, x):
        if (self.path / "parts.json").exists() and self.other is None:
            self.other = work(self.path, 0)
        return super().__call__(x)


def test_a_second_worker_takes_the_part_of_a_slow_one(tmp_path):
    teacher = Overtaken(tmp_path)
    first = cache_at(tmp_path, teacher).label_part(Read(), 0, COUNT, examples=100, batch_size=4)
    assert (teacher.other.labelled, first.labelled) == (32, 0)
    work(tmp_path, 1)
    work(tmp_path, 2)
    assert_labelled(TeacherCache(tmp_path, None, dtype="float32").label(X), X)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 4}, "another number of parts.*Received: count=4, the first worker had 3"),
        ({"examples": 96}, "another length.*Received: examples=96, the first worker had 100"),
    ],
)
def test_workers_that_do_not_agree_are_refused_before_they_write(tmp_path, change, message):
    work(tmp_path, 0)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=message):
        work(tmp_path, 1, **change)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_worker_of_another_version_is_refused(tmp_path, monkeypatch):
    work(tmp_path, 0)
    monkeypatch.setattr("keras_kd.cache.parts.__version__", "99.0")
    with pytest.raises(ValueError, match=r"another version of keras_kd.*version='99.0'"):
        work(tmp_path, 1)
    (tmp_path / "parts.json").unlink()
    assert work(tmp_path, 1).labelled == 32


def test_an_agreement_that_was_altered_is_refused(tmp_path):
    work(tmp_path, 0)
    file = tmp_path / "parts.json"
    content = json.loads(file.read_text())["content"]
    for what, other in altered(content):
        if other is not None:  # else it is as if it were not there
            forge(file, lambda _, other=other: other)
            with pytest.raises((OSError, ValueError), match="Received: "):
                check_agreement(Shards(tmp_path).parts, agreement(COUNT, 100), what)
    file.write_text("{}")
    with pytest.raises(OSError, match="JSON with its checksum expected"):
        work(tmp_path, 0)


def test_a_worker_with_another_teacher_is_refused(tmp_path):
    work(tmp_path, 0)
    other = cache_at(tmp_path, Lines(shift=1.0))
    with pytest.raises(ValueError, match="answers of another teacher"):
        other.label_part(Read(), 1, COUNT, examples=100)


def test_data_that_begin_elsewhere_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must begin where.*others in read\(8, 16\)"):
        work(tmp_path, 0, read=lambda start, stop: X[: stop - start])
    assert not list(tmp_path.rglob("*.tfrecord"))


@pytest.mark.parametrize(
    ("off", "message"), [(-1, r"read\(64, 100\).*Received: 35"), (1, "Received: more than 36")]
)
def test_a_part_of_another_length_is_no_part(tmp_path, off, message):
    def read(start, stop):
        return numbers(stop + off - start, start) if start >= 64 else X[start:stop]

    with pytest.raises(ValueError, match=message):
        work(tmp_path, 2, read=read)
    assert not (tmp_path / "view-000" / "shard-00012.json").exists()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"index": 3}, ValueError, "`index` must be below `count`. Received: index=3, count=3"),
        ({"index": 0, "count": 0}, ValueError, "at least 1. Received: count=0"),
        ({"index": 0, "examples": 0}, ValueError, "at least 1. Received: examples=0"),
    ],
)
def test_wrong_parts_are_refused(tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        work(tmp_path, **arguments)
    assert not list(tmp_path.iterdir())
