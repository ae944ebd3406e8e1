"""Labelling on Apache Beam's DirectRunner, with several processes."""

import os
import signal
import subprocess
import sys

import jobs
import pytest
from caching import read

from keras_kd.scale import LabelJob, LabelWithTeacher

beam = pytest.importorskip("apache_beam")
pytestmark = pytest.mark.scale
ON_TWO = ("--direct_num_workers=2", "--direct_running_mode=multi_processing")


def job_at(path, teacher=jobs.teacher, dataset=jobs.part):
    how = {"dtype": "float32", "batch_size": 4, "examples": 100}
    return LabelJob(path, teacher, dataset, count=4, **how)


def run(job, *options):
    pipeline = beam.Pipeline(argv=["--runner=DirectRunner", *options])
    pipeline | LabelWithTeacher(job)
    result = pipeline.run()
    result.wait_until_finish()
    counters = result.metrics().query()["counters"]
    return {
        c.key.metric.name: c.committed for c in counters if c.key.metric.namespace == "keras_kd"
    }


def test_two_processes_label_a_data_set_and_count_what_they_did(tmp_path, workers_path):
    job = job_at(tmp_path)
    counted = run(job, *ON_TWO)
    size = sum(file.stat().st_size for file in tmp_path.rglob("*.tfrecord"))
    assert counted == {"examples": 100, "answers": 100, "bytes": size}
    x, y = read(job.read(check="all"))
    assert list(y) == list(jobs.Y)
    assert x["teacher_outputs"].shape == (100, 3)
    assert run(job) == {"examples": 100, "answers": 0, "bytes": 0}


DRIVER = """
import sys, jobs, test_beam
from pathlib import Path
test_beam.run(test_beam.job_at(Path(sys.argv[1]), jobs.mortal_teacher))
"""


def test_a_driver_that_is_killed_is_started_again(tmp_path, workers_path):
    deaths, says = tmp_path / "deaths", tmp_path / "says"
    deaths.mkdir()
    (deaths / "8").touch()
    environment = {**os.environ, "KERAS_KD_TEST_DEATHS": str(deaths)}
    command = [sys.executable, "-c", DRIVER, str(says)]
    ends = [
        subprocess.run(command, env=environment, timeout=300, check=False).returncode
        for _ in range(2)
    ]
    assert ends == [-signal.SIGKILL, 0]
    job = job_at(says)
    assert job.missing() == []
    assert list(read(job.read(check="all"))[1]) == list(jobs.Y)


def test_another_teacher_fails_the_pipeline_and_says_who(tmp_path):
    job_at(tmp_path)(0)
    with pytest.raises(Exception, match="answers of another teacher"):
        run(job_at(tmp_path, jobs.other_teacher))


def test_what_cannot_travel_is_refused_before_the_pipeline_runs(tmp_path):
    file = (tmp_path / "data.txt").open("w")

    def data():
        return file

    with file, pytest.raises(TypeError, match=r"`dataset` must travel.*closes over none.*data"):
        LabelWithTeacher(LabelJob(tmp_path, jobs.teacher, data, count=2))
    with pytest.raises(TypeError, match=r"must be a keras_kd.scale.LabelJob. Received: job=3"):
        LabelWithTeacher(3)
