"""Where a cache's files are: a folder behind an address, such as `gs://bucket/folder`."""

import atexit
import contextlib
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

from keras_kd.addresses import file_system
from keras_kd.cache.fingerprints import file_digest

# Object stores: a file is there from the moment that it was sent whole.
_WHOLE_WHEN_CLOSED = {"abfs", "abfss", "az", "gcs", "gs", "s3", "s3a"}
_COPIES: dict[tuple[str, int], Path] = {}
_ALONE = threading.Lock()


class RemoteFolder:
    """Files are sent whole; no lock is needed, since what two writers send does not mix.

    fsspec speaks to the store, by the package that it names for each kind: gcsfs, s3fs, adlfs,
    pyarrow. Where a file could be seen before it is whole it is sent under another name and moved.

    Args:
        url: The address.

    Raises:
        ImportError: If a package is missing that this kind of address needs.
        ValueError: If there is no such kind of address, or it has another form.
    """

    is_remote = True

    def __init__(self, url):
        self.url = url
        self._files, root = file_system("path", url)
        self._root = root.rstrip("/")
        self._own, self._writers, self._alone = None, 0, threading.Lock()
        self._requests = threading.RLock()  # of one thread at a time: not every store allows more

    def __str__(self):
        return self.url

    def read(self, name: str) -> bytes:
        """Returns a file's content; a FileNotFoundError says that there is none."""
        with self._in_words("read"):
            return self._files.cat_file(self._at(name))

    def size(self, name: str) -> int | None:
        """Returns how many bytes a file has, None where there is none."""
        with self._in_words("read"):
            try:
                return self._files.info(self._at(name))["size"]
            except FileNotFoundError:
                return None

    def local(self, name: str, checksum: str) -> Path:
        """Returns a copy on this machine, which stays until the process ends.

        Raises:
            OSError: If the file cannot be read, or its content has another checksum.
        """
        copy = _copies(self.url) / checksum
        with self._requests:
            if not copy.exists():
                aside = copy.with_name(uuid.uuid4().hex)
                with self._in_words("read"):
                    self._files.get_file(self._at(name), str(aside))
                if file_digest(aside) != checksum:
                    return aside  # whoever compares it will say so; it is not kept for the next
                os.replace(aside, copy)
        return copy

    @contextlib.contextmanager
    def written(self) -> Iterator[None]:
        """Within it, files can be written, by several threads too."""
        with self._alone:
            self._writers += 1
            self._own = self._own or tempfile.TemporaryDirectory(prefix="keras_kd-")
        try:
            yield
        finally:
            with self._alone:
                self._writers -= 1
                if not self._writers:
                    self._own.cleanup()
                    self._own = None

    def unfinished(self) -> Path:
        """Returns where to write a file that is not whole yet."""
        return Path(self._own.name) / uuid.uuid4().hex

    def put(self, unfinished: Path, name: str):
        """Makes a file that is whole visible under its name, in one step."""
        target = self._at(name)
        with self._in_words("written"):
            if self.url.split(":")[0] in _WHOLE_WHEN_CLOSED:
                self._files.put_file(str(unfinished), target)
            else:
                self._send_and_move(unfinished, target)
        unfinished.unlink()

    def alone(self, role: str, *wait):
        """Returns a context that all may enter."""
        return contextlib.nullcontext()

    def _send_and_move(self, unfinished, target):
        aside = self._at(f".unfinished-{uuid.uuid4().hex}")
        self._files.makedirs(target.rpartition("/")[0], exist_ok=True)
        try:
            self._files.put_file(str(unfinished), aside)
            if self._files.info(aside)["size"] != unfinished.stat().st_size:
                raise OSError(f"'{target}' did not arrive whole")
            self._files.mv(aside, target)
        except Exception:
            with contextlib.suppress(Exception):
                self._files.rm_file(aside)
            # HDFS moves nothing onto what is there: another writer was first.
            if not self._files.exists(target):
                raise

    def _at(self, name):
        return f"{self._root}/{name}"

    @contextlib.contextmanager
    def _in_words(self, done):
        """Stores raise what they like, a FileNotFoundError where a file is not there."""
        with self._requests:
            try:
                yield
            except FileNotFoundError:
                raise
            except Exception as error:
                raise OSError(
                    f"The store could not be {done}. Received: '{self.url}' "
                    f"({type(error).__name__}: {error})"
                ) from error


def _copies(url):
    """Returns this process' folder of copies: data sets that were given out read from it."""
    place = (url, os.getpid())  # a process that was forked has its own
    with _ALONE:
        if place not in _COPIES:
            _COPIES[place] = Path(tempfile.mkdtemp(prefix="keras_kd-"))
            atexit.register(_remove, _COPIES[place], os.getpid())
        return _COPIES[place]


def _remove(folder, process):
    if process == os.getpid():
        shutil.rmtree(folder, ignore_errors=True)
