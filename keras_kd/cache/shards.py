"""The files of a cache."""

import contextlib
import hashlib
import json
import os
import uuid
from pathlib import Path

import numpy as np

from keras_kd.cache.components import Component
from keras_kd.cache.locking import alone
from keras_kd.lazy_modules import tf


class Shards:
    """The folder of a cache: a header, and shards that are there whole or not at all.

    ```
    cache.json                    what the cache is of
    examples.json                 how many examples there are, once the end of the data was seen
    view-000/shard-00000.tfrecord what the teacher said of the first examples
    view-000/shard-00000.json     its checksum: a shard counts from the moment that this is there
    ```

    Every file is written under another name, flushed to the disk and renamed. A .json file holds
    its own checksum.

    Args:
        folder: Where the files are.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self._cache = None

    @property
    def header(self) -> dict | None:
        """What the cache is of, or None if it has not been begun."""
        return _read_json(self.folder / "cache.json")

    def begin(self, header: dict):
        """Writes the header, with a number of its own that no other cache has."""
        with writing(self.folder):
            _write_json(self.folder / "cache.json", {**header, "cache": uuid.uuid4().hex})

    def place(self, view: int, number: int) -> dict:
        """Returns which shard of which cache a seal must say that it is of."""
        if self._cache is None:
            header = self.header or {}
            if "cache" not in header:
                raise OSError(
                    "The cache was written by another version of keras_kd, whose seals do not say "
                    "what they are of: label the data into another folder. Received: "
                    f"'{self.folder}' of format {header.get('format')}"
                )
            self._cache = header["cache"]
        return {"cache": self._cache, "view": view, "shard": number}

    @property
    def examples(self) -> int | None:
        """How many examples the data hold, or None if nobody has come to their end."""
        found = _read_json(self.folder / "examples.json")
        return found and found["examples"]

    def end(self, examples: int):
        """Notes how many examples there are."""
        with writing(self.folder):
            _write_json(self.folder / "examples.json", {"examples": examples})

    def file(self, view: int, number: int) -> Path:
        """Returns the file of one shard."""
        return self.folder / f"view-{view:03}" / f"shard-{number:05}.tfrecord"

    def seal(self, view: int, number: int) -> dict | None:
        """Returns what is known of a shard that is complete, or None.

        Raises:
            OSError: If the file is not what it was when it was sealed, or another one.
        """
        file = self.file(view, number)
        seal = _read_json(file.with_suffix(".json"))
        if seal is None:
            return None
        place, found = self.place(view, number), seal.get("of")
        if found != place:
            raise OSError(
                "A shard stands where another one belongs: its seal names a place that is not its "
                f"own. Received: '{file}', sealed as {found}, expected {place}. Put it back, or "
                "delete the file and its .json: `label` then labels these examples again"
            )
        found = f"{file.stat().st_size} bytes" if file.exists() else "no file"
        if found != f"{seal['bytes']} bytes":
            raise _damaged(file, f"{seal['bytes']} bytes", found)
        return seal

    def check(self, view: int, number: int):
        """Raises an OSError if the content of a shard has changed since it was sealed."""
        file = self.file(view, number)
        sealed, found = (self.seal(view, number) or {}).get("checksum"), _checksum(file)
        if found != sealed:
            raise _damaged(file, f"checksum {sealed}", f"checksum {found}")

    def missing(self, views: int, size: int) -> list | None:
        """Returns `(view, number)` of the shards that are not there, or None if it is unknown."""
        if self.examples is None:
            return None
        numbers = range(-(-self.examples // size))
        return [(v, n) for v in range(views) for n in numbers if self.seal(v, n) is None]


class ShardWriter:
    """Writes one shard: blocks of examples, each a `tf.train.Example` in a TFRecord file.

    Args:
        shards: The `Shards`.
        view: The view.
        number: The shard's number.
        components: The `Component`s.
        block: Examples in a block.
        worker: What to call the file until it is whole; one process at a time uses a name.
    """

    def __init__(self, shards, view, number, components, *, block, worker):
        self.file, self._place = shards.file(view, number), shards.place(view, number)
        self.components, self.block = components, block
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.unfinished = self.file.with_name(f".{self.file.name}.{worker}")
        self._writer = tf.io.TFRecordWriter(str(self.unfinished))
        self._waiting, self.examples = None, 0

    def write(self, leaves: list):
        """Adds examples: an array `(n, ...)` for each component."""
        if self._waiting is not None:
            leaves = [np.concatenate(pair) for pair in zip(self._waiting, leaves, strict=True)]
        while len(leaves[0]) >= self.block:
            self._write_block([leaf[: self.block] for leaf in leaves])
            leaves = [leaf[self.block :] for leaf in leaves]
        self._waiting = leaves

    def close(self, **seal):
        """Makes the shard count. `seal` is kept with its checksum."""
        if self._waiting is not None and len(self._waiting[0]):
            self._write_block(self._waiting)
        self._writer.flush()
        self._writer.close()
        _flush(self.unfinished)
        seal |= {
            "of": self._place,
            "examples": self.examples,
            "checksum": _checksum(self.unfinished),
        }
        seal["bytes"] = self.unfinished.stat().st_size
        with alone(self.file.parent, "seal"):
            os.replace(self.unfinished, self.file)
            _write_json(self.file.with_suffix(".json"), seal)

    def abandon(self):
        """Leaves nothing of a shard that will not be whole."""
        self._writer = None
        self.unfinished.unlink(missing_ok=True)

    def _write_block(self, leaves):
        features = {
            str(number): tf.train.Feature(
                bytes_list=tf.train.BytesList(value=[component.encode(leaf)])
            )
            for number, (component, leaf) in enumerate(zip(self.components, leaves, strict=True))
        }
        example = tf.train.Example(features=tf.train.Features(feature=features))
        self._writer.write(example.SerializeToString())
        self.examples += len(leaves[0])


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


def _checksum(file):
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _flush(file):
    with file.open("rb+") as written:
        os.fsync(written.fileno())


def _read_json(file):
    try:
        found = json.loads(file.read_text())
        if found["checksum"] != _digest(found["content"]):
            raise ValueError("its checksum is another")
        return found["content"]
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError) as error:
        raise OSError(
            "A file of the cache cannot be read: JSON with its checksum expected. "
            f"Received: '{file}' ({error})"
        ) from error


def _write_json(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    try:
        unfinished.write_text(
            json.dumps({"content": content, "checksum": _digest(content)}, indent=1)
        )
        _flush(unfinished)
        os.replace(unfinished, file)
    finally:
        unfinished.unlink(missing_ok=True)


def _digest(content):
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
