"""One process at a time."""

import contextlib
import json
import os
import socket
import time

from keras_kd.aside import lock_of

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
        OSError: If the folder or its lock cannot be written.
        TimeoutError: If another process still holds it then.
    """
    owner = folder / f".{role}.owner"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = lock_of(folder / f".{role}.lock")
        _acquire(lock, owner, wait)
    except OSError as error:
        if error.errno is None:  # waited too long, or what a signal's handler raised
            raise
        raise OSError(
            "The cache's folder must be one that this user may read and write: for several users "
            "of a group, `chmod g+rws` it before the first of them labels. Received: "
            f"'{folder}' ({error})"
        ) from error
    try:
        _sign(owner)
        yield
    finally:
        with contextlib.suppress(OSError):
            owner.unlink()
        lock.release()


def _sign(owner):
    """Says who holds the lock, for those who wait; no link that stands there is followed."""
    name = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    with contextlib.suppress(OSError):
        owner.unlink(missing_ok=True)
        with owner.open("x") as file:
            json.dump(name, file)


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
