"""Where a cache's files are: a folder of a mounted file system."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from keras_kd.aside import aside, flush, make_folder, share
from keras_kd.cache.locking import alone


class LocalFolder:
    """Files are written in a folder of their writer's own, flushed to the disk and moved.

    Locks keep writers apart.

    Args:
        path: The folder.
    """

    is_remote = False

    def __init__(self, path):
        self.path = Path(path)
        self._aside = None

    def __str__(self):
        return str(self.path)

    def read(self, name: str) -> bytes:
        """Returns a file's content; a FileNotFoundError says that there is none."""
        return (self.path / name).read_bytes()

    def size(self, name: str) -> int | None:
        """Returns how many bytes a file has, None where there is none."""
        file = self.path / name
        return file.stat().st_size if file.exists() else None

    def local(self, name: str, checksum: str) -> Path:
        """Returns where a file can be read, whatever its content is."""
        return self.path / name

    @contextlib.contextmanager
    def written(self) -> Iterator[None]:
        """Within it, files can be written; what others left unfinished is removed."""
        with aside(self.path) as self._aside:
            try:
                yield
            finally:
                self._aside = None

    def unfinished(self) -> Path:
        """Returns where to write a file that is not whole yet."""
        return self._aside / uuid.uuid4().hex

    def put(self, unfinished: Path, name: str):
        """Makes a file that is whole visible under its name, in one step."""
        target = self.path / name
        if target.parent != self.path:
            make_folder(target.parent, like=self.path)
        flush(unfinished)
        share(unfinished, self.path)
        os.replace(unfinished, target)

    def alone(self, role: str, *wait):
        """Returns a context that one process at a time enters, as `locking.alone`."""
        return alone(self.path, role, *wait)
