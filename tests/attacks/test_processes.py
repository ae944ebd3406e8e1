"""Labelling processes that are killed at any moment, or that meet in one folder."""

import itertools
import os
import random
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from caching import lines, numbers
from processes import COUNT, labeller

from keras_kd import TeacherCache

pytestmark = [pytest.mark.slow, pytest.mark.core]

KILLS = 100
X = numbers(COUNT)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr("keras_kd.cache.identity._SHARD_EXAMPLES", 16)
    monkeypatch.setattr("keras_kd.cache.identity._BLOCK_EXAMPLES", 4)


def sealed(folder):
    """The shards that count, as they stand on the disk."""
    files = [file.with_suffix(".tfrecord") for file in folder.glob("view-000/*.json")]
    return {file.name: file.read_bytes() for file in files}


def answers_are_right(folder):
    answers = TeacherCache(folder, None, dtype="float32").answers()["teacher_outputs"]
    return np.array_equal(answers, lines(X))


def leftovers(folder):
    return list(folder.rglob(".unfinished-*"))


def test_kills(tmp_path, row):
    random.seed(0)
    lost, silent = [], []
    number = kills = 0
    folder = tmp_path / "0"
    while kills < KILLS:
        before = sealed(folder)
        with labeller(folder, pause=0.02) as process:
            try:
                process.stdout.readline()
                time.sleep(random.uniform(0.0, 0.7))
            finally:
                process.kill()
        kills += process.returncode != 0
        after = sealed(folder)
        lost += [(kills, name) for name in before if after.get(name) != before[name]]
        if len(after) == -(-COUNT // 16):
            number, folder = number + 1, tmp_path / str(number + 1)
    for each in sorted(tmp_path.iterdir()):
        with labeller(each) as process:
            told = process.communicate(timeout=300)[0]
        assert process.returncode == 0, told
        silent += [] if answers_are_right(each) else [each]
        lost += leftovers(each)
    row("SIGKILL at a random moment of `label`", kills, least=KILLS, lost=lost, silent=silent)


PARTS = [(), (0, 1), (0, 2), (1, 2), (0, 3), (2, 3)]
MIXES = [*itertools.combinations(PARTS, 2), ((), (), ()), ((), (0, 2), (1, 3)), ((0, 2),) * 2]


def test_mixes_of_writers(tmp_path, row):
    lost, silent, raw = [], [], []
    for number, mix in enumerate(MIXES):
        folder = tmp_path / str(number)
        processes = [labeller(folder, *part, pause=0.005) for part in mix]
        for process in processes:
            told = process.communicate(timeout=300)[0]
            raw += [] if process.returncode == 0 else [(mix, told[-500:])]
        with labeller(folder) as process:
            process.communicate(timeout=300)
        silent += [] if answers_are_right(folder) else [mix]
        lost += leftovers(folder)
    row("Writers of any mix at once", len(MIXES), least=18, lost=lost, silent=silent, raw=raw)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root alone is two")
def test_a_second_user(tmp_path, row):
    """Two users of a group, in a folder that the group may write to and in one that it may not."""
    silent, raw = [], []
    shared = Path("/tmp") / f"keras_kd_attack_{os.getpid()}"  # a folder that both reach
    try:
        for mode, may in ((0o2770, True), (0o2750, False)):
            shutil.rmtree(shared, ignore_errors=True)
            shared.mkdir()
            os.chown(shared, 0, 12345)
            shared.chmod(mode)
            with labeller(shared, 0, 2, group=12345) as first:
                first.communicate(timeout=300)
            with labeller(shared, 1, 2, user=54321, group=12345) as second:
                told = second.communicate(timeout=300)[0]
            if may and (second.returncode or not answers_are_right(shared)):
                silent.append((oct(mode), told[-500:]))
            if not may and "chmod g+rws" not in told:
                raw.append((oct(mode), told[-500:]))
    finally:
        shutil.rmtree(shared, ignore_errors=True)
    row("A second user of the group", 2, least=2, silent=silent, raw=raw)
