"""One process at a time."""

import contextlib
import json
import os
import socket
import time

_PAUSE = 0.2  # seconds between two looks; signals are met in between
_SHORT = 600.0  # seconds, for what takes a moment


@contextlib.contextmanager
def alone(folder, role, wait=_SHORT):
    """Waits until no other process holds `role` in `folder`, and holds it.

    The system frees what a process held that has died.

    Args:
        folder: Where the lock's file is.
        role: The lock's name.
        wait: How many seconds to wait; None without end.

    Raises:
        TimeoutError: If another process still holds it then.
    """
    import filelock  # a cache that is only read needs none

    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / f".{role}.lock")
    owner = folder / f".{role}.owner"
    _acquire(lock, owner, wait)
    try:
        owner.write_text(
            json.dumps(
                {
                    "host": socket.gethostname(),
                    "pid": os.getpid(),
                    "since": time.strftime("%Y-%m-%d %H:%M:%S"),
                }
            )
        )
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _acquire(lock, owner, wait):
    import filelock

    began, told = time.monotonic(), False
    while True:
        try:
            lock.acquire(timeout=0)
            return
        except filelock.Timeout:
            held_by = _described(owner)
        if not told:
            told = True
            until = "it has finished" if wait is None else f"it has finished, {wait:g} s at most"
            print(
                f"Another process is at work in '{owner.parent}', {held_by}: waiting until {until}."
            )
        if wait is not None and time.monotonic() - began >= wait:
            raise TimeoutError(
                "Another process has not finished its work on this cache: wait longer (`wait`, in "
                f"seconds), or end it and try again. Received: wait={wait:g}, {held_by}, which "
                f"holds '{lock.lock_file}'"
            )
        time.sleep(_PAUSE if wait is None else min(_PAUSE, max(wait, 0.01)))


def _described(owner):
    """Returns who holds the lock, as far as it says."""
    try:
        found = json.loads(owner.read_text())
        return f"process {found['pid']} on {found['host']} since {found['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # not written yet, or not by us
        return "a process that does not say which"
