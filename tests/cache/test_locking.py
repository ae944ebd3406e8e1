"""One process at a time labels into a folder, and who waits knows for whom and how long."""

import os
import signal
import threading

import pytest
from caching import Lines, numbers

from keras_kd import TeacherCache
from keras_kd.cache.locking import alone


def test_who_waits_too_long_learns_who_holds_the_lock(tmp_path, capsys):
    cache = TeacherCache(tmp_path, Lines(), dtype="float32")
    owner = rf"process {os.getpid()} on \S+ since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d"
    with alone(tmp_path, "label"), pytest.raises(TimeoutError, match=rf"wait=0.01, {owner}.*lock"):
        cache.label(numbers(20), wait=0.01)
    assert f"process {os.getpid()} on " in capsys.readouterr().out
    (tmp_path / ".0-of-2.owner").write_text("not json")
    assert len(cache.label(numbers(20))) == 20  # nothing is left of the one that waited


def test_an_owner_that_left_no_name_is_waited_for_all_the_same(tmp_path):
    with alone(tmp_path, "label"):
        (tmp_path / ".label.owner").unlink()
        unnamed = pytest.raises(TimeoutError, match="a process that does not say which")
        with unnamed, alone(tmp_path, "label", wait=0):
            pass


def test_a_signal_ends_waiting(tmp_path):
    def handler(*_):
        raise InterruptedError

    before = signal.signal(signal.SIGTERM, handler)
    later = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM))
    try:
        with alone(tmp_path, "label"), pytest.raises(InterruptedError):
            later.start()
            with alone(tmp_path, "label", wait=60):
                pass
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("wait", ["5", float("nan"), -1.0])
def test_a_wait_is_a_number_of_seconds(tmp_path, wait):
    with pytest.raises((TypeError, ValueError), match=r"`wait` must be a finite number"):
        TeacherCache(tmp_path, Lines()).label(numbers(20), wait=wait)
