"""Labelling goes on where it was, and nothing that is damaged is ever read."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from caching import Lines, assert_labelled, lines, numbers
from variants import first_of

import keras_kd
from keras_kd import TeacherCache
from keras_kd.cache import local_folder

EXAMPLES = 100
X = numbers(EXAMPLES)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    """Shards of 16 examples in blocks of 4: seven of them, the last not full."""
    monkeypatch.setattr("keras_kd.cache.identity._SHARD_EXAMPLES", 16)
    monkeypatch.setattr("keras_kd.cache.identity._BLOCK_EXAMPLES", 4)


def cache_of(path, teacher=None):
    return TeacherCache(path, teacher or Lines(), dtype="float32")


class Fails(Lines):
    """Answers for some examples and then fails."""

    def __init__(self, after, failure):
        super().__init__()
        self.after, self.failure = after, failure

    def __call__(self, x):
        if x[0, 0] >= self.after:
            return self.failure(x)
        return super().__call__(x)


def interrupt(x):
    raise KeyboardInterrupt


def kept(path):
    return sorted(file.stem for file in path.rglob("*.tfrecord"))


@pytest.mark.core
@pytest.mark.alike
@first_of("batch_size", [5, 16, 40, 256])
def test_many_shards_are_read_in_their_order(tmp_path, batch_size):
    cache = cache_of(tmp_path)
    assert_labelled(cache.label(X, batch_size=batch_size), X)
    assert len(kept(tmp_path)) == 7
    assert_labelled(cache_of(tmp_path).label(X), X)


@pytest.mark.core
@pytest.mark.alike
def test_what_was_interrupted_goes_on_where_it_was(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        cache_of(tmp_path, Fails(50, interrupt)).label(X, batch_size=5)
    assert kept(tmp_path) == ["shard-00000", "shard-00001", "shard-00002"]
    assert not cache_of(tmp_path).complete
    teacher = Lines()
    cache = cache_of(tmp_path, teacher)
    assert_labelled(cache.label(X, batch_size=4), X)
    # A function is asked about the first block once more, to see that it is the same.
    assert teacher.asked == 4 + EXAMPLES - 48
    undisturbed = cache_of(tmp_path / "undisturbed")
    undisturbed.label(X)
    for file in tmp_path.glob("view-*/*.tfrecord"):
        assert file.read_bytes() == (tmp_path / "undisturbed" / "view-000" / file.name).read_bytes()


def test_data_that_changed_meanwhile_are_refused(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        cache_of(tmp_path, Fails(50, interrupt)).label(X, batch_size=5)
    other = X.copy()
    other[20] = 7.0
    with pytest.raises(ValueError, match="other content among the examples 16 to 31"):
        cache_of(tmp_path).label(other)


KILLED = """
import sys, time
sys.path[:0] = sys.argv[2:]
import keras_kd.cache.identity as identity
identity._SHARD_EXAMPLES, identity._BLOCK_EXAMPLES = 16, 4
from caching import Lines, numbers
from keras_kd import TeacherCache
class Slow(Lines):
    def __call__(self, x):
        time.sleep(0.05 if x[0, 0] < 50 else 600.0)
        return super().__call__(x)
TeacherCache(sys.argv[1], Slow(), dtype="float32").label(numbers(100), batch_size=5)
"""


def process(code, *arguments):
    tests = Path(__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, "-u", "-c", code, *map(str, arguments), str(tests), str(tests.parent)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(keras_kd.__file__).parents[1])},
    )


def wait_for(found):
    end = time.monotonic() + 120
    while not found():
        assert time.monotonic() < end
        time.sleep(0.05)


# What was interrupted goes on beside it; that what the dead left is swept, test_meeting_writers.py
# shows.
@pytest.mark.slow
def test_a_killed_process_loses_the_shard_that_it_was_writing(tmp_path):
    with process(KILLED, tmp_path) as killed:
        wait_for((tmp_path / "view-000" / "shard-00002.json").exists)
        try:
            wait_for(lambda: any(file.is_file() for file in tmp_path.glob(".unfinished-*/*")))
        finally:
            killed.send_signal(signal.SIGKILL)
    assert len(kept(tmp_path)) == 3 and list(tmp_path.glob(".unfinished-*"))
    teacher = Lines()
    assert_labelled(cache_of(tmp_path, teacher).label(X, batch_size=4), X)
    assert teacher.asked == 4 + EXAMPLES - 48
    assert not list(tmp_path.glob(".unfinished-*"))  # what it left is swept
    assert_labelled(cache_of(tmp_path).label(X), X)


WAITS = KILLED.replace(
    "time.sleep(0.05 if x[0, 0] < 50 else 600.0)",
    "while x[0, 0] >= 50 and not os.path.exists(sys.argv[1] + '.go'): time.sleep(0.05)",
).replace("import sys, time", "import os, sys, time")


@pytest.mark.slow
def test_of_two_processes_the_second_waits(tmp_path):
    folder = tmp_path / "cache"
    with process(WAITS, folder) as one:
        wait_for((folder / "view-000" / "shard-00002.json").exists)
        with process(WAITS, folder) as two:
            told = next(line for line in two.stdout if "Another process is at work" in line)
            (tmp_path / "cache.go").touch()
            told += two.communicate(timeout=300)[0]
        first = one.communicate(timeout=300)[0]
    assert (one.returncode, two.returncode) == (0, 0), first + told
    assert "Another process" not in first
    assert_labelled(cache_of(folder).label(X), X)


def test_who_waited_for_another_process_has_the_same_data_or_is_refused(tmp_path, monkeypatch):
    @contextlib.contextmanager
    def while_another_labels(folder, role, wait=None, alone=local_folder.alone):
        monkeypatch.undo()
        if role == "label":
            cache_of(tmp_path).label(X)
        with alone(folder, role):
            yield

    other = X.copy()
    other[50] += 1.0  # beyond the examples that are looked at before the teacher is asked
    cache = cache_of(tmp_path)
    # As far as both processes come before one has to wait.
    cache._begin(cache._source(other, None, 1, 256), 256, None)
    monkeypatch.setattr(local_folder, "alone", while_another_labels)
    with pytest.raises(ValueError, match="not the one that was labelled"):
        cache.label(other)


FULL = """
import resource, signal, sys
import numpy as np
from keras_kd import TeacherCache
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
x = np.zeros((3000, 1))
TeacherCache(sys.argv[1], lambda x: np.ones((len(x), 100)), from_logits=True).label(x)
"""


@pytest.mark.slow
def test_a_file_system_that_takes_no_more_is_an_error(tmp_path):
    with process(FULL, tmp_path) as full:
        told = full.communicate(timeout=300)[0]
    assert full.returncode == 1
    assert "OSError: The labels could not be written" in told
    assert kept(tmp_path) == []


def test_a_full_disk_keeps_complete_shards(tmp_path, monkeypatch):
    written = []

    def replace(source, target, replace=os.replace):
        written.append(target)
        if "shard-00002" in str(target):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as full, pytest.raises(OSError, match="No space left") as error:
        full.setattr(os, "replace", replace)
        cache_of(tmp_path).label(X)
    assert "complete shards stay and are not labelled again" in str(error.value)
    assert str(tmp_path) in str(error.value)
    assert kept(tmp_path) == ["shard-00000", "shard-00001"]
    assert not list(tmp_path.glob(".unfinished-*"))  # it gives back what it can
    teacher = Lines()
    assert_labelled(cache_of(tmp_path, teacher).label(X, batch_size=4), X)
    assert teacher.asked == 4 + EXAMPLES - 32


def truncate(file):
    file.write_bytes(file.read_bytes()[:-5])


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def spoil(file):
    file.write_bytes(b"\0" * file.stat().st_size)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "308 bytes expected. Received: 303 bytes"),
        (flip, "checksum .* expected. Received: checksum .*"),
        (spoil, "checksum .* expected. Received: checksum .*"),
        (Path.unlink, "308 bytes expected. Received: no file"),
    ],
)
def test_a_damaged_shard_is_named_and_can_be_labelled_again(tmp_path, damage, message):
    cache_of(tmp_path).label(X)
    file = tmp_path / "view-000" / "shard-00003.tfrecord"
    damage(file)
    for teacher in (Lines(), None):
        with pytest.raises(OSError, match=f"damaged: {message} in '{file}'. Delete the file"):
            TeacherCache(tmp_path, teacher, dtype="float32").label(X)
    file.unlink(missing_ok=True)
    file.with_suffix(".json").unlink()
    teacher = Lines()
    assert_labelled(cache_of(tmp_path, teacher).label(X, batch_size=4), X)
    assert teacher.asked == 4 + 16


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable to root")
def test_what_cannot_be_read_is_an_error(tmp_path):
    cache_of(tmp_path).label(X)
    file = tmp_path / "view-000" / "shard-00003.tfrecord"
    file.chmod(0)
    with pytest.raises(OSError, match=r"shard-00003\.tfrecord"):
        cache_of(tmp_path).label(X)
    file.chmod(0o600)
    for each in [tmp_path, *tmp_path.rglob("*")]:
        each.chmod(0o500 if each.is_dir() else 0o400)
    assert_labelled(TeacherCache(tmp_path, None, dtype="float32").label(X), X)


def test_nothing_is_written_to_a_complete_cache(tmp_path):
    cache_of(tmp_path).label(X)
    before = {file: file.stat().st_mtime_ns for file in [tmp_path, *tmp_path.rglob("*")]}
    assert_labelled(TeacherCache(tmp_path, None, dtype="float32").label(X), X)
    assert_labelled(cache_of(tmp_path).label(X), X)
    after = {file: file.stat().st_mtime_ns for file in [tmp_path, *tmp_path.rglob("*")]}
    assert after == before


@pytest.mark.parametrize("name", ["cache.json", "examples.json", "view-000/shard-00003.json"])
@pytest.mark.parametrize("damage", [truncate, spoil, lambda file: file.write_text("[]")])
def test_a_damaged_description_is_named(tmp_path, name, damage):
    cache_of(tmp_path).label(X)
    damage(tmp_path / name)
    with pytest.raises(OSError, match=f"cannot be read.*'{tmp_path / name}'"):
        cache_of(tmp_path).label(X)


def test_a_number_that_changed_in_a_description_is_seen(tmp_path):
    cache_of(tmp_path).label(X)
    file = tmp_path / "cache.json"
    file.write_text(file.read_text().replace('"shard_examples": 16', '"shard_examples": 17'))
    with pytest.raises(OSError, match=r"cannot be read.*cache\.json"):
        cache_of(tmp_path).label(X)


@pytest.mark.core
@pytest.mark.alike
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_named_by_their_position(tmp_path, value):
    def broken(x):
        answers = lines(x)
        answers[x[:, 0] == 70, 1] = value
        return answers

    with pytest.raises(ValueError, match=r"finite.*NaN or infinity for example 70 \(1 of 5 in"):
        cache_of(tmp_path, broken).label(X, batch_size=5)
    assert len(kept(tmp_path)) == 4
    assert not list(tmp_path.glob(".unfinished-*"))


def test_numbers_that_are_none_at_once_leave_nothing(tmp_path):
    with pytest.raises(ValueError, match="NaN or infinity for example 0"):
        cache_of(tmp_path, lambda x: lines(x) * np.nan).label(X)
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.core
@pytest.mark.alike
@pytest.mark.parametrize(("dtype", "fits"), [("float16", False), ("bfloat16", True)])
def test_what_float16_cannot_hold_needs_another_type(tmp_path, dtype, fits):
    x = X * 1000.0
    cache = TeacherCache(tmp_path, Lines(), dtype=dtype)
    if fits:
        assert_labelled(cache.label(x), x, atol=400.0)
        return
    with pytest.raises(ValueError, match=r"float16: use dtype='bfloat16'.*: 66000 for example 66"):
        cache.label(x, batch_size=1)
    TeacherCache(tmp_path / "at once", Lines(), dtype=dtype)
    with pytest.raises(ValueError, match="too large for float16"):
        TeacherCache(tmp_path / "at once", Lines(), dtype=dtype).label(x)
    TeacherCache(tmp_path / "at once", Lines(), dtype="bfloat16").label(x)


def test_a_teacher_whose_answers_change_shape_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"same shapes.*\[\(2,\)\] from example 50 on, \[\(3,\)\]"):
        cache_of(tmp_path, Fails(50, lambda x: np.zeros((len(x), 2)))).label(X, batch_size=5)
    for answer in (lambda x: np.zeros(3), lambda x: np.float32(1.0), lambda x: lines(x)[:-1]):
        with pytest.raises(ValueError, match=r"one row an example.*for 100 examples"):
            cache_of(tmp_path / "rows", answer).label(X)


def test_nothing_is_pickled():
    for file in Path(keras_kd.cache.__file__).parent.glob("*.py"):
        assert "pickle" not in file.read_text(), file


MEMORY = """
import resource, sys
import numpy as np
import tensorflow as tf
from keras_kd import TeacherCache
count = int(sys.argv[2])
data = tf.data.Dataset.range(count).map(lambda i: tf.fill((64,), tf.cast(i, tf.float32)))
cache = TeacherCache(sys.argv[1], lambda x: x[:, :10], from_logits=True, dtype="bfloat16")
train = cache.label(data)
for x in train.take(count // 10).batch(256):
    pass
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_ten_times_the_examples_take_no_more_memory(tmp_path):
    peaks = []
    for count in (100_000, 1_000_000):
        with process(MEMORY, tmp_path / str(count), count) as run:
            peaks.append(int(run.communicate(timeout=400)[0].split("peak")[1].split()[0]))
    assert peaks[1] < 1.1 * peaks[0]
