"""The files of a cache."""

import contextlib
import hashlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

from keras_kd.cache.components import Component
from keras_kd.cache.fingerprints import file_digest
from keras_kd.cache.header import check_examples, check_header, check_parts, check_seal
from keras_kd.cache.local_folder import LocalFolder
from keras_kd.cache.remote_folder import RemoteFolder
from keras_kd.lazy_modules import tf


class Shards:
    """The folder of a cache: a header, and shards that are there whole or not at all.

    ```
    cache.json                    what the cache is of
    examples.json                 how many examples there are, once the end of the data was seen
    parts.json                    in how many parts workers label, and who else they must be
    view-000/shard-00000.tfrecord what the teacher said of the first examples
    view-000/shard-00000.json     its checksum: a shard counts from the moment that this is there
    ```

    Every file becomes visible in one step, when it is whole. A .json file holds its own checksum,
    and that of a shard says what it is of: the digest of the header, the view and the number.
    Behind an address, where nothing is locked, the file of a shard has a name that no other writer
    gives, which its .json tells: of two writers one's shard counts, and it is whole.

    Args:
        path: Where the files are: a `pathlib.Path`, or the text of an address.
    """

    def __init__(self, path):
        self.folder = LocalFolder(path) if isinstance(path, Path) else RemoteFolder(path)
        self._cache, self._began, self._sealed = None, None, {}

    def look_anew(self):
        """Forgets what was seen of the files: others may have removed some."""
        self._cache, self._sealed = None, {}

    @property
    def header(self) -> dict | None:
        """What the cache is of, or None if it has not been begun.

        Raises:
            OSError: If it is none that a cache has.
        """
        found = self._read_json("cache.json")
        if found is not None:
            check_header(found, self.place_of("cache.json"))
        return found

    @contextlib.contextmanager
    def written(self, role: str | None = None, wait: float | None = None):
        """Within it, files can be written; what others left unfinished is removed.

        Args:
            role: What one process at a time does in a folder that knows locks; None for any.
            wait: As in `locking.alone`.
        """
        with contextlib.ExitStack() as stack:
            if role is not None:
                stack.enter_context(self.folder.alone(role, wait))
            with writing(self.folder):
                stack.enter_context(self.folder.written())
            yield

    def begin(self, header: dict):
        """Writes the header, with a number of its own that no other cache has.

        Where nothing is locked, two that begin the same cache give it the same number.
        """
        number = _digest(header)[:32] if self.folder.is_remote else uuid.uuid4().hex
        with writing(self.folder):
            self.write_json("cache.json", {**header, "cache": number})

    def belong_to(self, header: dict):
        """Notes of which cache the shards are, by the header that was compared."""
        self._cache = self._began = _digest(header)

    def confirm(self):
        """Raises an OSError if another cache was begun in the same place meanwhile."""
        header = self.header
        if header is None or _digest(header) != self._began:
            raise OSError(
                "Another cache was begun in the same place at the same time: choose one of the "
                "two, remove what is there, and label the other elsewhere. Received: "
                f"'{self.folder}'"
            )

    def place(self, view: int, number: int) -> dict:
        """Returns which shard of which cache a seal must say that it is of."""
        if self._cache is None:
            self._cache = _digest(self.header)
        return {"cache": self._cache, "view": view, "shard": number}

    @property
    def examples(self) -> int | None:
        """How many examples the data hold, or None if nobody has come to their end."""
        found = self._read_json("examples.json")
        return None if found is None else check_examples(found, self.place_of("examples.json"))

    def end(self, examples: int):
        """Notes how many examples there are."""
        with writing(self.folder):
            self.write_json("examples.json", {"examples": examples})

    def write_json(self, name: str, content):
        """Writes a file with its checksum."""
        unfinished = self.folder.unfinished()
        unfinished.write_text(
            json.dumps({"content": content, "checksum": _digest(content)}, indent=1)
        )
        self.folder.put(unfinished, name)

    def place_of(self, name: str) -> str:
        """Returns a file's path or address, for messages."""
        return f"{self.folder}/{name}"

    @staticmethod
    def name(view: int, number: int, seal: dict | None = None) -> str:
        """Returns the name of a shard's file, below the folder."""
        folder, file = f"view-{view:03}", f"shard-{number:05}.tfrecord"
        return f"{folder}/{file if seal is None else seal.get('file', file)}"

    def file(self, view: int, number: int) -> Path:
        """Returns the file of a complete shard, or its copy on this machine."""
        seal = self._sealed_as(view, number)
        return self.folder.local(self.name(view, number, seal), seal["checksum"])

    def seal(self, view: int, number: int) -> dict | None:
        """Returns what is known of a shard that is complete, or None.

        Raises:
            OSError: If the file is not what it was when it was sealed, or another one.
        """
        if (view, number) in self._sealed:
            return self._sealed[view, number]
        name = seal_of(self.name(view, number))
        seal = self._read_json(name)
        if seal is None:
            return None
        check_seal(seal, self.place_of(name), number)
        file = self.place_of(self.name(view, number, seal))
        place, found = self.place(view, number), seal.get("of")
        if found != place:
            raise OSError(
                "A shard stands where another one belongs: its seal names a place that is not its "
                f"own. Received: '{file}', sealed as {found}, expected {place}. Put it back, or "
                "delete the file and its .json: `label` then labels these examples again"
            )
        size = self.folder.size(self.name(view, number, seal))
        if size != seal["bytes"]:
            found = "no file" if size is None else f"{size} bytes"
            raise _damaged(file, f"{seal['bytes']} bytes", found)
        if self.folder.is_remote:  # where each look costs a request, and nothing is overwritten
            self._sealed[view, number] = seal
        return seal

    def check(self, view: int, size: int):
        """Raises an OSError if a shard of a view has changed since it was sealed.

        Args:
            view: The view, which is complete.
            size: Examples in a shard.
        """
        examples = self.examples or 0
        for number in range(-(-examples // size)):
            seal = self._sealed_as(view, number)
            file = self.place_of(self.name(view, number, seal))
            expected = min(size, examples - number * size)
            if seal["examples"] != expected:
                raise _damaged(file, f"{expected} examples", f"{seal['examples']} examples")
            found = file_digest(self.file(view, number))
            if found != seal["checksum"]:
                raise _damaged(file, f"checksum {seal['checksum']}", f"checksum {found}")

    @property
    def parts(self) -> dict | None:
        """What the workers that label in parts agree about, or None if no part was begun."""
        found = self._read_json("parts.json")
        return None if found is None else check_parts(found, self.place_of("parts.json"))

    def agree(self, parts: dict):
        """Notes what the workers must agree about."""
        with writing(self.folder):
            self.write_json("parts.json", parts)

    def missing(self, views: int, size: int) -> Iterator[tuple[int, int]]:
        """Yields view and number of each shard that is not there, where the length is known."""
        for view in range(views):
            for number in range(-(-(self.examples or 0) // size)):
                if self.seal(view, number) is None:
                    yield view, number

    def is_missing(self, views: int, size: int) -> bool:
        """Returns whether a shard is not there, or the end of the data unknown."""
        return self.examples is None or any(True for _ in self.missing(views, size))

    def _sealed_as(self, view, number):
        seal = self.seal(view, number)
        if seal is None:
            raise _damaged(self.place_of(self.name(view, number)), "a seal", "none")
        return seal

    def _read_json(self, name):
        try:
            found = json.loads(self.folder.read(name).decode())
            if found["checksum"] != _digest(found["content"]):
                raise ValueError("its checksum is another")
            return found["content"]
        except FileNotFoundError:
            return None
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise OSError(
                "A file of the cache cannot be read: JSON with its checksum expected. "
                f"Received: '{self.place_of(name)}' ({error})"
            ) from error


def seal_of(name: str) -> str:
    """Returns the name of a shard's seal."""
    return f"{name.removesuffix('.tfrecord')}.json"


def parse_block(record, components) -> list:
    """Returns the tensors `(n, ...)` of a block, one for each component."""
    wanted = {str(n): tf.io.FixedLenFeature((), tf.string) for n in range(len(components))}
    found = tf.io.parse_single_example(record, wanted)
    return [component.decode(found[str(n)]) for n, component in enumerate(components)]


def components_of(header) -> list:
    """Returns the `Component`s that a header describes."""
    return [Component(**{**each, "shape": tuple(each["shape"])}) for each in header["components"]]


@contextlib.contextmanager
def writing(folder):
    """Says what became of the labels where a file cannot be written."""
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        raise OSError(
            "The labels could not be written; complete shards stay and are not labelled again. "
            f"Received: {error}, in '{folder}'"
        ) from error


def _damaged(file, expected, received):
    return OSError(
        f"A shard of the cache is damaged: {expected} expected. Received: {received} in "
        f"'{file}'. Delete the file and its .json: `label` then labels these examples again"
    )


def _digest(content):
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
