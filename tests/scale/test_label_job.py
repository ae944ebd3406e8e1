"""One job, and as many calls of it as there are parts."""

import errno
import gc
import os
import pickle
import socket
import weakref

import fsspec
import jobs
import keras
import numpy as np
import pytest
from caching import Lines, assert_labelled, read
from exported_files import BIAS, KERNEL, write_saved_model
from remote_stores import empty_store
from variants import first_of

from keras_kd import TeacherCache
from keras_kd.scale import LabelJob

pytestmark = [pytest.mark.core, pytest.mark.alike, pytest.mark.usefixtures("small_shards")]


def job_at(path, teacher=jobs.teacher, dataset=jobs.data, count=jobs.COUNT, **kwargs):
    return LabelJob(
        path, teacher, dataset, count=count, **{"dtype": "float32", "batch_size": 4, **kwargs}
    )


@pytest.mark.parametrize("source", [{}, {"dataset": jobs.part, "examples": 100}])
def test_all_parts_are_the_cache_that_one_process_makes(tmp_path, source):
    job = job_at(tmp_path / "parts", **source)
    assert job.missing() == [0, 1, 2]
    done = [job(index) for index in (2, 0, 1)]
    assert [part.labelled for part in done] == [36, 32, 32]
    assert job.missing() == []
    x, y = read(job.read(check="all"))
    np.testing.assert_array_equal(x["inputs"], jobs.X)
    np.testing.assert_array_equal(y, jobs.Y)
    TeacherCache(tmp_path / "whole", Lines(), dtype="float32").label(jobs.X, batch_size=4)
    for file in (tmp_path / "whole").rglob("*.tfrecord"):
        twin = tmp_path / "parts" / file.relative_to(tmp_path / "whole")
        assert twin.read_bytes() == file.read_bytes()


def test_a_part_that_is_done_twice_is_done_once(tmp_path):
    job = job_at(tmp_path)
    first, again = job(1), job(1)
    assert (first.labelled, again.labelled) == (32, 0)
    assert first.bytes == sum(file.stat().st_size for file in tmp_path.rglob("*.tfrecord"))
    assert (again.bytes, again.examples_per_second) == (0, 0.0)


def test_a_job_that_traveled_loads_the_teacher_once(tmp_path):
    job = job_at(tmp_path, jobs.counted_teacher)
    before = len(jobs.LOADS)
    for index in range(jobs.COUNT):
        pickle.loads(pickle.dumps(job))(index)
    assert len(jobs.LOADS) == before + 1
    assert pickle.loads(pickle.dumps(job)).missing() == []


def test_a_part_that_never_came_is_named(tmp_path):
    job = job_at(tmp_path)
    job(0)
    job(2)
    assert job.missing() == [1]
    with pytest.raises(ValueError, match=r"Parts are missing.*Received: \[1\] of 0 to 2"):
        job.read()


def test_a_full_disk_on_one_worker_leaves_the_others_work(tmp_path, monkeypatch):
    from keras_kd.cache.shard_writer import ShardWriter

    write = ShardWriter._write_block

    def full(self, leaves):
        if self.number == 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, leaves)

    job = job_at(tmp_path)
    job(0)
    with monkeypatch.context() as patch:
        patch.setattr(ShardWriter, "_write_block", full)
        with pytest.raises(OSError, match=r"could not be written.*No space left") as caught:
            job(1)
    assert f"part 1 of 0 to 2, by process {os.getpid()} on {socket.gethostname()}" in str(
        caught.value.__notes__
    )
    job(2)
    assert job.missing() == [1]
    assert job(1).labelled == 24  # the shard before the disk was full counts
    x, _ = read(job.read())
    assert not list(tmp_path.glob(".unfinished-*"))
    np.testing.assert_array_equal(x["inputs"], jobs.X)


def test_a_keras_file_teaches(tmp_path):
    teacher = keras.Sequential([keras.Input((1,)), keras.layers.Dense(3)])
    teacher.save(tmp_path / "teacher.keras")
    job = job_at(tmp_path / "says", tmp_path / "teacher.keras", count=1)
    job(0)
    x, _ = read(job.read())
    expected = jobs.X @ np.asarray(teacher.layers[0].kernel) + np.asarray(teacher.layers[0].bias)
    np.testing.assert_allclose(x["teacher_outputs"], expected, atol=1e-5)
    teacher.layers[0].kernel.assign(teacher.layers[0].kernel + 1.0)
    teacher.save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match="answers of another teacher") as caught:
        job_at(tmp_path / "says", tmp_path / "other.keras", count=1)(0)
    assert "part 0 of 0 to 0" in str(caught.value.__notes__)


def test_a_saved_model_teaches_and_is_known_by_its_content(tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
    folder = write_saved_model(tmp_path / "teacher")
    job = job_at(tmp_path / "says", folder, lambda: x, count=1)
    job(0)
    labelled = read(job.read())["teacher_outputs"]
    np.testing.assert_allclose(labelled, x @ KERNEL + BIAS, atol=1e-5)
    folder.rename(tmp_path / "moved")
    assert job_at(tmp_path / "says", tmp_path / "moved", lambda: x, count=1)(0).labelled == 0
    other = write_saved_model(tmp_path / "other", bias=BIAS + 1e-4)
    with pytest.raises(ValueError, match="answers of another teacher"):
        job_at(tmp_path / "says", other, lambda: x, count=1)(0)


def test_examples_are_prepared_and_augmented(tmp_path):
    import tensorflow as tf

    def data():
        return tf.data.Dataset.from_tensor_slices({"number": jobs.X[:16], "class": jobs.Y[:16]})

    job = job_at(
        tmp_path,
        dataset=data,
        count=2,
        prepare=lambda example: (example["number"] * 2.0, example["class"]),
        augment=lambda x, seed: x + tf.cast(seed[0], x.dtype),
    )
    assert job(0).labelled + job(1).labelled == 16
    x, y = read(job.read(check="all"))
    np.testing.assert_array_equal(y, jobs.Y[:16])
    np.testing.assert_array_equal(x["inputs"], jobs.X[:16] * 3.0)
    np.testing.assert_allclose(x["teacher_outputs"], Lines()(jobs.X[:16] * 3.0), atol=1e-5)


def test_data_of_unknown_length_need_to_tell_it(tmp_path):
    import tensorflow as tf

    def data():
        return tf.data.Dataset.from_tensor_slices(jobs.X).filter(lambda x: x[0] >= 0.0)

    with pytest.raises(ValueError, match=r"do not tell how many.*unknown cardinality"):
        job_at(tmp_path, dataset=data)(0)
    with pytest.raises(ValueError, match=r"must give 28 examples.*more than 28"):
        job_at(tmp_path / "short", dataset=data, examples=92)(2)
    with pytest.raises(ValueError, match=r"must give 36 examples.*Received: 28"):
        job_at(tmp_path / "long", dataset=data, examples=108)(2)
    job = job_at(tmp_path / "right", dataset=data, examples=100)
    for index in range(jobs.COUNT):
        job(index)
    assert_labelled(job.read(), jobs.X)


def endless():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(jobs.X).repeat()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dataset": endless}, "must come to an end"),
        ({"dataset": lambda: "mnist"}, "must return an unbatched tf.data.Dataset.*a str"),
        ({"examples": 99}, "Received: examples=99, data of 100"),
        ({"teacher": lambda: None}, "must return a teacher.*returned None"),
        ({"teacher": "teacher.keras"}, "no such file.*teacher.keras"),
    ],
)
def test_what_only_a_worker_sees_is_refused_before_the_first_example(
    tmp_path, arguments, message, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((FileNotFoundError, TypeError, ValueError), match=message):
        job_at(tmp_path / "says", **arguments)(0)
    assert not (tmp_path / "says").exists()


def test_a_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "teacher.keras").write_text("no model")
    with pytest.raises(ValueError, match="teacher's file cannot be loaded"):
        job_at(tmp_path / "says", tmp_path / "teacher.keras")(0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"path": "nowhere://says"}, ValueError, "kind that fsspec knows.*path=.nowhere://says"),
        ({"path": 3}, TypeError, "`path` must be a path"),
        ({"count": 0}, ValueError, "at least 1. Received: count=0"),
        ({"teacher": keras.Sequential()}, TypeError, r"teacher.save\('teacher.keras'\)"),
        ({"teacher": 3}, TypeError, "`teacher` must be the path"),
        ({"teacher": Lines()}, TypeError, r"`teacher` must be a function f\(\)"),
        ({"teacher": "nowhere://t.keras"}, ValueError, "kind that fsspec knows"),
        ({"dataset": "mnist"}, ValueError, "needs a `split`.*split=None"),
        ({"dataset": "mnist", "split": "train", "examples": 3}, ValueError, "TFDS knows"),
        ({"dataset": (jobs.X, jobs.Y)}, TypeError, "that makes the data in each.*a tuple"),
        ({"dataset": jobs.part}, ValueError, "give `examples`"),
        ({"dataset": lambda a, b, c: None}, TypeError, r"f\(start, stop\)"),
        ({"split": "train"}, ValueError, "are for the name of a TFDS set"),
        ({"examples": 0.5}, TypeError, "`examples`"),
        ({"prepare": 3}, TypeError, "`prepare` must be a function"),
        ({"dtype": "int8"}, ValueError, "`dtype` must be one of"),
    ],
)
def test_wrong_arguments_are_refused_where_the_job_is_made(tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        job_at(**{"path": tmp_path, **arguments})


def test_wrong_parts_are_refused(tmp_path):
    with pytest.raises(ValueError, match="`index` must be below `count`"):
        job_at(tmp_path)(3)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="one that this user may read and write"):
        job_at(tmp_path / "says")(0)
    tmp_path.chmod(0o700)


def test_workers_of_another_teacher_or_version_are_told_who_they_are(tmp_path, monkeypatch):
    job_at(tmp_path)(0)
    with pytest.raises(ValueError, match="another teacher") as caught:
        job_at(tmp_path, jobs.other_teacher)(1)
    assert "part 1 of 0 to 2" in str(caught.value.__notes__)
    monkeypatch.setattr("keras_kd.cache.parts.__version__", "99.0")
    with pytest.raises(ValueError, match="another version of keras_kd"):
        job_at(tmp_path)(1)
    with pytest.raises(ValueError, match="another number of parts"):
        job_at(tmp_path, count=4)(1)


def test_who_reads_holds_no_teacher(tmp_path):
    held = []

    def teacher():
        made = jobs.teacher()
        held.append(weakref.ref(made))
        return made

    job = job_at(tmp_path, teacher, count=1)
    job(0)
    assert held[0]() is not None
    job.read()
    gc.collect()
    assert held[0]() is None


@pytest.fixture
def store():
    """An empty store in memory."""
    empty_store()
    yield fsspec.filesystem("memory")
    empty_store()


@first_of("format", ["saved_model", "keras"])
def test_answers_and_teacher_behind_addresses(tmp_path, store, format):
    local = tmp_path / ("teacher.keras" if format == "keras" else "teacher")
    if format == "keras":
        teacher = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        teacher.set_weights([KERNEL, BIAS])
        teacher.save(local)
    else:
        write_saved_model(local)
    store.put(f"{local}/" if local.is_dir() else str(local), f"/b/{local.name}", recursive=True)
    job = job_at("memory://b/says", f"memory://b/{local.name}", jobs.four_columns)
    for index in job.missing():
        pickle.loads(pickle.dumps(job))(index)
    assert job.missing() == []
    assert job.path == "memory://b/says"
    x = read(job.read())
    expected = jobs.four_columns() @ KERNEL + BIAS
    np.testing.assert_allclose(x["teacher_outputs"], expected, rtol=1e-5, atol=1e-4)


def test_addresses_without_a_teacher_are_refused_in_words(store):
    with pytest.raises(FileNotFoundError, match=r"no such teacher.*memory://b/none.keras"):
        job_at("memory://b/says", "memory://b/none.keras")(0)
    with pytest.raises(ValueError, match=r"kind that fsspec knows.*teacher='nosuch://b/t.keras'"):
        job_at("memory://b/says", "nosuch://b/t.keras")
