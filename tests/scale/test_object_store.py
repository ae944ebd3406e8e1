"""Labels in an object store: a server that speaks S3 on this machine."""

import os
import signal
import subprocess
import sys

import jobs
import keras
import numpy as np
import pytest
from caching import Lines, assert_labelled

from keras_kd import TeacherCache

moto = pytest.importorskip("moto.server")
pytestmark = [pytest.mark.scale, pytest.mark.usefixtures("small_shards", "workers_path")]

LIMIT = 300  # seconds, of one worker
DEATHS = 2  # of the teacher that is killed twice


@pytest.fixture(scope="module")
def server():
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield
    server.stop()


@pytest.fixture
def bucket(server, request):
    import s3fs

    name = f"b{abs(hash(request.node.name)) % 10**9}"
    files = s3fs.S3FileSystem()
    files.mkdir(name)
    return files, name


def worker(bucket, shard, *, teacher="jobs:teacher", dataset="jobs:data"):
    command = [sys.executable, "-m", "keras_kd.label", "--cache", f"s3://{bucket}/says"]
    command += ["--teacher", teacher, "--dataset", dataset, "--dtype", "float32"]
    command += ["--batch-size", "4", "--shard", shard]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_two_that_do_the_same_at_once_and_a_third(bucket):
    _, name = bucket
    running = [worker(name, "0/2"), worker(name, "0/2"), worker(name, "1/2")]
    for one in running:
        told, _ = one.communicate(timeout=LIMIT)
        assert one.returncode == 0, told
    cache = TeacherCache(f"s3://{name}/says", None, dtype="float32")
    assert cache.missing_parts(2) == []
    assert_labelled(cache.label((jobs.X, jobs.Y), batch_size=4), jobs.X)
    np.testing.assert_allclose(cache.answers()["teacher_outputs"][:, 0], jobs.X[:, 0], atol=1e-6)


def test_killed_workers_are_started_again(bucket, tmp_path, monkeypatch):
    files, name = bucket
    monkeypatch.setenv("KERAS_KD_TEST_DEATHS", str(tmp_path))
    ends = []
    while not ends or ends[-1]:
        one = worker(name, "0/1", teacher="jobs:mortal_teacher")
        told, _ = one.communicate(timeout=LIMIT)
        assert one.returncode in (0, -signal.SIGKILL), told
        ends.append(one.returncode)
    assert len(ends) == DEATHS + 1
    cache = TeacherCache(f"s3://{name}/says", Lines(), dtype="float32")
    assert_labelled(cache.label((jobs.X, jobs.Y)), jobs.X)
    stored = [os.path.basename(path) for path in files.find(f"{name}/says")]
    assert sum(file.endswith(".tfrecord") for file in stored) == 13  # none of those that died
    assert not [file for file in stored if file.startswith(".")]


def test_a_teacher_in_the_bucket(bucket, tmp_path):
    files, name = bucket
    teacher = keras.Sequential([keras.Input((1,)), keras.layers.Dense(3)])
    teacher.save(tmp_path / "teacher.keras")
    files.put(str(tmp_path / "teacher.keras"), f"{name}/teacher.keras")
    one = worker(name, "0/1", teacher=f"s3://{name}/teacher.keras")
    told, _ = one.communicate(timeout=LIMIT)
    assert one.returncode == 0, told
    found = TeacherCache(f"s3://{name}/says", None, dtype="float32").answers()["teacher_outputs"]
    np.testing.assert_allclose(found, teacher.predict(jobs.X, verbose=0), rtol=1e-5, atol=1e-4)


def test_a_bucket_that_is_not_there(server):
    one = worker("nowhere-at-all", "0/1")
    told, _ = one.communicate(timeout=LIMIT)
    assert one.returncode == 1
    assert "could not be written" in told and "s3://nowhere-at-all/says" in told
