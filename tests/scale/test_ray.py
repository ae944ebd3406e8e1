"""Labelling on Ray, by two actors on one machine."""

import jobs
import pytest
from caching import read

from keras_kd.scale import LabelJob, label_on_ray

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.scale


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, workers_path):
    deaths = tmp_path_factory.mktemp("deaths")
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=10**8,
        runtime_env={"env_vars": {"KERAS_KD_TEST_DEATHS": str(deaths)}},
    )
    yield deaths
    ray.shutdown()


def job_at(path, teacher=jobs.teacher, dataset=jobs.part):
    how = {"dtype": "float32", "batch_size": 4, "examples": 100}
    return LabelJob(path, teacher, dataset, count=3, **how)


def test_workers_that_are_killed_in_turn_are_replaced(tmp_path, cluster):
    job = job_at(tmp_path, jobs.mortal_teacher)
    done = label_on_ray(job, actors=2)
    assert {file.name for file in cluster.iterdir()} == {"8", "72"}
    assert sorted(part.index for part in done) == [0, 1, 2]
    x, y = read(job.read(check="all"))
    assert list(y) == list(jobs.Y)
    assert x["teacher_outputs"].shape == (100, 3)
    assert label_on_ray(job, actors=2) == []


def test_a_part_that_fails_stops_no_other_and_is_named(tmp_path, cluster):
    job = job_at(tmp_path, jobs.out_of_disk_teacher)
    with pytest.raises(RuntimeError, match=r"(?s)Received: \[1\].*No space left"):
        label_on_ray(job, actors=1)
    assert job.missing() == [1]


def test_another_teacher_is_refused(tmp_path, cluster):
    job_at(tmp_path)(0)
    with pytest.raises(ValueError, match="answers of another teacher"):
        label_on_ray(job_at(tmp_path, jobs.other_teacher), actors=1)


def test_what_cannot_travel_is_refused(tmp_path, cluster):
    file = (tmp_path / "data.txt").open("w")

    def data():
        return file

    with file, pytest.raises(TypeError, match="`dataset` must travel"):
        label_on_ray(LabelJob(tmp_path, jobs.teacher, data, count=2), actors=1)
    with pytest.raises(ValueError, match=r"at least 1. Received: actors=0"):
        label_on_ray(job_at(tmp_path), actors=0)
