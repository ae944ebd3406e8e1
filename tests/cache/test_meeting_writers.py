"""Whoever writes into one folder at a time: any mix of them ends in one correct cache."""

import os
import stat

import filelock
import pytest
from caching import Lines, assert_labelled, numbers

from keras_kd import TeacherCache
from keras_kd.aside import aside

X = numbers(40)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    """Shards of 8 examples: five."""
    monkeypatch.setattr("keras_kd.cache.identity._SHARD_EXAMPLES", 8)
    monkeypatch.setattr("keras_kd.cache.identity._BLOCK_EXAMPLES", 4)


class Meets(Lines):
    """Answers, and in the middle of its second shard another process does its work."""

    def __init__(self, other):
        super().__init__()
        self.other = other

    def __call__(self, x):
        if x[0, 0] == 12 and self.other is not None:
            other, self.other = self.other, None
            other()
        return super().__call__(x)


def work(path, part, teacher=None, x=X):
    cache = TeacherCache(path, teacher or Lines(), dtype="float32")
    if part is None:
        cache.label(x, batch_size=4)
    else:
        cache.label_shard(x, *part, batch_size=4)


PARTS = [None, (0, 1), (1, 2), (1, 3)]
# Who labels all, all in one turn, or a turn of several: the rest are more mixes of these.
SHOWN = [
    *((None, part) for part in PARTS[1:3]),
    *((part, None) for part in PARTS[1:3]),
    ((0, 1), (1, 2)),
    ((1, 2), (1, 3)),
]
MIXES = [(one, other) for one in PARTS for other in PARTS if one != other]


@pytest.mark.parametrize(
    ("first", "second"),
    [pytest.param(*mix, marks=() if mix in SHOWN else pytest.mark.slow) for mix in MIXES],
)
def test_any_mix_of_writers_makes_one_cache(tmp_path, first, second):
    work(tmp_path, first, Meets(lambda: work(tmp_path, second)))
    work(tmp_path, None)
    assert_labelled(TeacherCache(tmp_path, None, dtype="float32").label(X), X)
    assert len(list(tmp_path.rglob("*.tfrecord"))) == 5
    assert not list(tmp_path.rglob(".unfinished-*"))


def test_who_is_second_with_other_data_is_refused(tmp_path):
    other = X.copy()
    other[30] = 0.0
    with pytest.raises(ValueError, match="other content among the examples 24 to 31"):
        work(tmp_path, None, Meets(lambda: work(tmp_path, (1, 2))), other)
    assert_labelled(TeacherCache(tmp_path, Lines(), dtype="float32").label(X), X)


def test_what_the_dead_left_is_swept_and_what_the_living_write_is_not(tmp_path):
    with aside(tmp_path) as living:
        (living / "part").write_text("half")
        dead = tmp_path / ".unfinished-0"
        dead.mkdir()
        (dead / "part").write_text("half")
        dead.with_suffix(".lock").touch()
        work(tmp_path, None)
        assert (living / "part").exists() and not dead.exists()
    assert not list(tmp_path.glob(".unfinished-*"))


def test_a_folder_is_claimed_although_others_sweep_meanwhile(tmp_path, monkeypatch):
    taken = []

    def acquire(self, timeout, acquire=filelock.FileLock.acquire):
        taken.append(self.lock_file)
        if len(taken) == 1:  # who sweeps holds it just then
            raise filelock.Timeout(self.lock_file)
        acquire(self, timeout=timeout)
        if len(taken) == 2:  # who sweeps has removed it just before
            os.unlink(self.lock_file)

    monkeypatch.setattr(filelock.FileLock, "acquire", acquire)
    with aside(tmp_path) as place:
        assert len(set(taken)) == 3 and place.is_dir()
    assert not list(tmp_path.iterdir())


def test_no_link_is_followed(tmp_path):
    """Names that are known in advance, as links to what someone else wants overwritten."""
    precious, cache = tmp_path / "precious", tmp_path / "cache"
    precious.write_text("mine")
    cache.mkdir()
    for role in ("label", "header", "seal-00"):
        (cache / f".{role}.owner").symlink_to(precious)
    for name in ("cache.json", "examples.json"):
        (cache / name).symlink_to(tmp_path / f"not there {name}")
    (cache / "view-000").mkdir()
    for end in ("tfrecord", "json"):
        (cache / "view-000" / f"shard-00000.{end}").symlink_to(tmp_path / f"not there {end}")
    work(cache, None)
    assert_labelled(TeacherCache(cache, None, dtype="float32").label(X), X)
    assert precious.read_text() == "mine"
    assert [file.name for file in tmp_path.iterdir() if "not" in file.name] == []


def test_a_link_for_a_lock_is_an_error(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / ".label.lock").symlink_to(precious)
    with pytest.raises(OSError, match="folder must be one that this user may read and write"):
        work(tmp_path / "cache", None)
    assert precious.read_text() == "mine"


@pytest.mark.skipif(os.name == "nt", reason="other modes")
def test_a_group_that_may_write_to_the_folder_may_go_on(tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o2770)
    work(tmp_path / "cache", (0, 2))
    modes = {file.name: file.stat().st_mode for file in (tmp_path / "cache").rglob("*")}
    assert stat.S_IMODE(modes["view-000"]) == 0o2770
    locks = [name for name in modes if name.endswith(".lock")]
    assert locks and all(modes[name] & stat.S_IWGRP for name in locks)
    shards = [name for name in modes if name.endswith((".tfrecord", ".json"))]
    assert shards and all(modes[name] & stat.S_IWGRP for name in shards)
