"""What is being written stands aside until it is whole."""

import contextlib
import importlib.util
import os
import shutil
import stat
import uuid
from pathlib import Path

from keras_kd.checks import is_remote

_PREFIX = ".unfinished-"


@contextlib.contextmanager
def aside(folder):
    """Yields a new folder in `folder`, for files that are moved out of it once they are whole.

    It is removed at the end. What killed processes left is removed by who comes next: the folders
    whose locks nobody holds, since the system frees the locks of the dead.

    Args:
        folder: Where the files will be, made if it is not there.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if importlib.util.find_spec("filelock") is None:  # beside JAX alone: nobody can tell the dead
        place, lock = folder / f"{_PREFIX}{uuid.uuid4().hex}", None
        make_folder(place, like=folder)
    else:
        _sweep(folder)
        place, lock = _claim(folder)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        if lock is not None:
            leave(lock)


def save_aside(save, path):
    """Calls `save(path)` such that what was at `path` stays until the new file is whole.

    Args:
        save: Writes a file, and others beside it if it wants, into the folder of the path it is
            given.
        path: Where the file will be; a link stays one.
    """
    path = Path(os.path.realpath(path))
    with may_be_written(path), aside(path.parent) as folder:
        save(folder / path.name)
        for file in sorted(folder.iterdir(), key=lambda file: file.name == path.name):
            target = path.with_name(file.name)
            if file.is_file():
                flush(file)
            if target.is_file():
                file.chmod(stat.S_IMODE(target.stat().st_mode))
            os.replace(file, target)


def save_safely(save, filepath, overwrite=True, *args, **kwargs):
    """Calls Keras' `save` or `save_weights` of a model, by `save_aside` where that is possible."""
    is_path = isinstance(filepath, str | os.PathLike)
    if not overwrite or not is_path or is_remote(filepath) or os.path.isdir(filepath):
        save(filepath, overwrite, *args, **kwargs)
    else:
        save_aside(lambda path: save(path, True, *args, **kwargs), filepath)


@contextlib.contextmanager
def may_be_written(path):
    """Says which path could not be written, and what it takes."""
    try:
        yield
    except OSError as error:
        raise OSError(
            "Nothing could be written there: a folder that this user may write to, on a disk with "
            f"room left, was expected. Received: '{path}' ({error})"
        ) from error


def flush(file):
    """Returns once a file's content is on the disk."""
    with file.open("rb+") as written:
        os.fsync(written.fileno())


def make_folder(folder, like):
    """Makes a folder that those may write to who may write to `like`."""
    try:
        folder.mkdir()
    except FileExistsError:
        return
    with contextlib.suppress(PermissionError):
        folder.chmod(stat.S_IMODE(like.stat().st_mode))


def share(file, folder):
    """Lets the group read and write a file that may do so with a folder."""
    more = stat.S_IMODE(folder.stat().st_mode) & 0o060
    file.chmod(stat.S_IMODE(file.stat().st_mode) | more)


def lock_of(file):
    """Returns a lock that those may take who may write to its file's folder."""
    import filelock  # who only reads needs none

    shared = stat.S_IMODE(file.parent.stat().st_mode) & 0o066
    return filelock.FileLock(file, mode=0o600 | shared)


def _claim(folder):
    """Returns a folder that is new, and its lock, which is held."""
    import filelock

    while True:
        place = folder / f"{_PREFIX}{uuid.uuid4().hex}"
        file = place.with_suffix(".lock")
        lock = lock_of(file)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:  # someone who sweeps was faster: another name
            continue
        if file.exists():  # else it was swept before it was held
            make_folder(place, like=folder)
            return place, lock
        lock.release()


def _sweep(folder):
    """Removes what nobody holds any more."""
    import filelock

    for file in folder.glob(f"{_PREFIX}*.lock"):
        lock = lock_of(file)
        # What another user left is that user's to remove.
        with contextlib.suppress(filelock.Timeout, OSError):
            lock.acquire(timeout=0)
            shutil.rmtree(file.with_suffix(""), ignore_errors=True)
            leave(lock)


def leave(lock):
    """Gives a lock back, and leaves no file of it."""
    Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()
