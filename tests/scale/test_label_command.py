"""`python -m keras_kd.label`, one worker of many."""

import os
import subprocess
import sys

import jobs
import pytest
from caching import read

from keras_kd import TeacherCache
from keras_kd.scale import LabelJob
from keras_kd.scale.label_command import main

pytestmark = [pytest.mark.core, pytest.mark.alike]


def options(path, shard="0/3", teacher="jobs:teacher", dataset="jobs:data"):
    how = ["--dtype", "float32", "--batch-size", "4"]
    return [
        "--cache",
        str(path),
        "--teacher",
        teacher,
        "--dataset",
        dataset,
        "--shard",
        shard,
        *how,
    ]


def test_parts_are_labelled_and_missing_ones_printed(tmp_path, capsys, small_shards):
    assert main(["--cache", str(tmp_path), "--missing", "3"]) == 3
    assert capsys.readouterr().out.split() == ["0", "1", "2"]
    assert main(options(tmp_path, "1/3")) == 0
    assert "part 1 of 0 to 2: 32 examples, 32 answers written now" in capsys.readouterr().out
    assert main(options(tmp_path, "0/3")) == main(options(tmp_path, "2/3")) == 0
    capsys.readouterr()
    assert main(["--cache", str(tmp_path), "--missing", "3"]) == 0
    assert capsys.readouterr().out == ""
    job = LabelJob(tmp_path, jobs.teacher, jobs.data, count=3, dtype="float32")
    assert len(read(job.read())[1]) == 100


def test_help_tells_what_the_statuses_mean(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "status 0 when the part is complete; 1 when something failed" in said
    assert "MODULE:NAME" in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shard": "3/3"}, "I from 0 to N - 1, such as 0/10. Received: 3/3"),
        ({"shard": "one"}, "Received: one"),
    ],
)
def test_wrong_options_end_with_status_two(tmp_path, capsys, change, message):
    with pytest.raises(SystemExit) as ended:
        main(options(tmp_path, **change))
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_missing_options_are_named(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--cache", str(tmp_path), "--teacher", "teacher.keras"])
    assert ended.value.code == 2
    assert "required: --dataset, --shard" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"teacher": "nothing.keras"}, "no such file or folder"),
        ({"teacher": "jobs:nobody"}, "Received: --teacher jobs:nobody (AttributeError"),
        ({"teacher": "no_module:f"}, "(ModuleNotFoundError"),
        ({"dataset": "jobs:X"}, "A function was expected. Received: --dataset jobs:X"),
        ({"dataset": "jobs:part"}, "give `examples`"),
    ],
)
def test_what_no_second_try_mends_ends_with_status_two(tmp_path, capsys, change, message):
    assert main(options(tmp_path / "says", **change)) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.startswith("keras_kd.label: ")
    assert "Traceback" not in said


def test_an_error_of_the_users_own_code_comes_with_its_place(tmp_path, capsys, monkeypatch):
    def broken():
        raise ValueError("the bucket is empty")

    monkeypatch.setattr(jobs, "data", broken)
    assert main(options(tmp_path)) == 2
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "in broken" in said
    assert "part 0 of 0 to 2" in said


def test_what_may_go_well_another_time_ends_with_status_one(
    tmp_path, capsys, monkeypatch, small_shards
):
    def full(*_):
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("keras_kd.cache.shard_writer.ShardWriter._write_block", full)
        assert main(options(tmp_path)) == 1
    said = capsys.readouterr().err
    assert "complete shards stay" in said
    assert main(options(tmp_path)) == 0


@pytest.mark.slow
def test_workers_that_are_killed_in_turn_are_started_again(tmp_path, workers_path):
    (tmp_path / "deaths").mkdir()
    environment = {**os.environ, "KERAS_KD_TEST_DEATHS": str(tmp_path / "deaths")}
    cache, statuses = tmp_path / "says", []
    while missing := TeacherCache(cache, None).missing_parts(2):
        command = [sys.executable, "-m", "keras_kd.label"]
        command += options(cache, f"{missing[0]}/2", "jobs:mortal_teacher")
        worker = subprocess.run(command, env=environment, timeout=300, check=False)
        statuses.append(worker.returncode)
        assert len(statuses) <= 4
    assert statuses == [-9, 0, -9, 0]
    job = LabelJob(cache, jobs.teacher, jobs.data, count=2, dtype="float32")
    _, y = read(job.read(check="all"))
    assert list(y) == list(jobs.Y)
    assert not list(cache.glob(".unfinished-*"))
