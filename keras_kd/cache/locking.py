"""One process at a time."""

import contextlib


@contextlib.contextmanager
def alone(folder, role):
    """Waits until no other process holds `role` in `folder`, and holds it.

    The system frees what a process held that has died.
    """
    import filelock  # a cache that is only read needs none

    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / f".{role}.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        print(f"Another process is at work in '{folder}': waiting until it has finished.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
