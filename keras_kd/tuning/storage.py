"""Where a study is kept, and that only one process searches in a file at a time."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

from keras_kd.aside import leave, lock_of
from keras_kd.checks import local_path

_SQLITE = b"SQLite format 3\0"


@contextlib.contextmanager
def held(storage: Any) -> Iterator[tuple[Any, bool]]:
    """Holds a storage for as long as the context is open.

    The system frees the locks of the dead: who holds the file of a study knows that a trial which
    still runs in it has no process any more.

    Args:
        storage: See `search`.

    Yields:
        What Optuna takes for it, and whether nobody else can be running trials in it.

    Raises:
        TypeError, ValueError: If it is a file of something else, or another process holds it.
    """
    file = sqlite_file(storage)
    if file is None:
        yield storage, storage is None
        return
    _check_file(file)
    lock = _taken(file)
    try:
        yield storage if isinstance(storage, str) and "://" in storage else _url(file), True
    finally:
        leave(lock)


def sqlite_file(storage: Any) -> pathlib.Path | None:
    """Returns the file of a SQLite storage, or None if it is another.

    Raises:
        TypeError, ValueError: If it is no storage, or a path none of this machine.
    """
    if storage is None or hasattr(storage, "create_new_study"):  # one of Optuna's
        return None
    if not isinstance(storage, str) or "://" not in storage:
        return local_path("storage", storage).absolute()
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(storage)
        url.get_dialect()
    except (ArgumentError, ImportError) as error:
        raise ValueError(
            "`storage` must be the path of a SQLite file, or the URL of a database whose driver is "
            f"installed. Received: storage={storage!r} ({error})"
        ) from error
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return pathlib.Path(url.database).absolute()


def _url(file):
    from sqlalchemy.engine import URL

    return URL.create("sqlite", database=str(file)).render_as_string(hide_password=False)


def _check_file(file):
    """Raises if something else than a study is there; makes the folder."""
    is_other = file.is_dir()
    if file.is_file() and file.stat().st_size:
        with file.open("rb") as opened:
            is_other = opened.read(len(_SQLITE)) != _SQLITE
    if is_other:
        raise ValueError(
            "`storage` must be the path of a SQLite file, which is made where there is none, such "
            f"as 'study.db', or a URL. Received: storage='{file}', which is something else"
        )
    file.parent.mkdir(parents=True, exist_ok=True)


def _taken(file):
    import filelock

    lock = lock_of(file.with_name(f"{file.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise ValueError(
            "Another search is at work in this file; wait for it, or give this one a file of its "
            f"own. Received: storage='{file}'"
        ) from error
    return lock
