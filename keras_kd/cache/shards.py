"""The files of a cache."""

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_kd.aside import aside, flush, make_folder, share
from keras_kd.cache.components import Component
from keras_kd.cache.header import check_examples, check_header, check_parts, check_seal
from keras_kd.cache.locking import alone
from keras_kd.lazy_modules import tf

_SEALS = 16  # locks for sealing: writers of other shards seldom wait for each other


class Shards:
    """The folder of a cache: a header, and shards that are there whole or not at all.

    ```
    cache.json                    what the cache is of
    examples.json                 how many examples there are, once the end of the data was seen
    parts.json                    in how many parts workers label, and who else they must be
    view-000/shard-00000.tfrecord what the teacher said of the first examples
    view-000/shard-00000.json     its checksum: a shard counts from the moment that this is there
    ```

    Every file is written in a folder of its writer's own, flushed to the disk and moved. A .json
    file holds its own checksum, and that of a shard says what it is of: the digest of the header,
    the view and the number.

    Args:
        folder: Where the files are.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self._cache = self._aside = None

    @property
    def header(self) -> dict | None:
        """What the cache is of, or None if it has not been begun.

        Raises:
            OSError: If it is none that a cache has.
        """
        file = self.folder / "cache.json"
        found = _read_json(file)
        if found is not None:
            check_header(found, file)
        return found

    @contextlib.contextmanager
    def written(self):
        """Within it, files can be written; what others left unfinished is removed."""
        with contextlib.ExitStack() as stack:
            with writing(self.folder):
                self._aside = stack.enter_context(aside(self.folder))
            try:
                yield
            finally:
                self._aside = None

    def unfinished(self) -> Path:
        """Returns where to write a file that is not whole yet."""
        return self._aside / uuid.uuid4().hex

    def begin(self, header: dict):
        """Writes the header, with a number of its own that no other cache has."""
        with writing(self.folder):
            header = {**header, "cache": uuid.uuid4().hex}
            self.write_json(self.folder / "cache.json", header)

    def place(self, view: int, number: int) -> dict:
        """Returns which shard of which cache a seal must say that it is of."""
        if self._cache is None:
            self._cache = _digest(self.header)
        return {"cache": self._cache, "view": view, "shard": number}

    @property
    def examples(self) -> int | None:
        """How many examples the data hold, or None if nobody has come to their end."""
        file = self.folder / "examples.json"
        found = _read_json(file)
        return None if found is None else check_examples(found, file)

    def end(self, examples: int):
        """Notes how many examples there are."""
        with writing(self.folder):
            self.write_json(self.folder / "examples.json", {"examples": examples})

    def write_json(self, file: Path, content):
        """Writes a file with its checksum."""
        unfinished = self.unfinished()
        unfinished.write_text(
            json.dumps({"content": content, "checksum": _digest(content)}, indent=1)
        )
        flush(unfinished)
        share(unfinished, self.folder)
        os.replace(unfinished, file)

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
        check_seal(seal, file.with_suffix(".json"))
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

    def check(self, view: int, size: int):
        """Raises an OSError if a shard of a view has changed since it was sealed.

        Args:
            view: The view, which is complete.
            size: Examples in a shard.
        """
        examples = self.examples or 0
        for number in range(-(-examples // size)):
            file, seal = self.file(view, number), self.seal(view, number)
            expected = min(size, examples - number * size)
            if seal is None:
                raise _damaged(file, "a seal", "none")
            if seal["examples"] != expected:
                raise _damaged(file, f"{expected} examples", f"{seal['examples']} examples")
            found = _checksum(file)
            if found != seal["checksum"]:
                raise _damaged(file, f"checksum {seal['checksum']}", f"checksum {found}")

    @property
    def parts(self) -> dict | None:
        """What the workers that label in parts agree about, or None if no part was begun."""
        file = self.folder / "parts.json"
        found = _read_json(file)
        return None if found is None else check_parts(found, file)

    def agree(self, parts: dict):
        """Notes what the workers must agree about."""
        with writing(self.folder):
            self.write_json(self.folder / "parts.json", parts)

    def missing(self, views: int, size: int) -> Iterator[tuple[int, int]]:
        """Yields view and number of each shard that is not there, where the length is known."""
        for view in range(views):
            for number in range(-(-(self.examples or 0) // size)):
                if self.seal(view, number) is None:
                    yield view, number

    def is_missing(self, views: int, size: int) -> bool:
        """Returns whether a shard is not there, or the end of the data unknown."""
        return self.examples is None or any(True for _ in self.missing(views, size))


class ShardWriter:
    """Writes one shard: blocks of examples, each a `tf.train.Example` in a TFRecord file.

    Args:
        shards: The `Shards`.
        view: The view.
        number: The shard's number.
        components: The `Component`s.
        block: Examples in a block.
    """

    def __init__(self, shards, view, number, components, *, block):
        self.file, self._shards, self._of = shards.file(view, number), shards, (view, number)
        self.components, self.block = components, block
        make_folder(self.file.parent, like=shards.folder)
        self.unfinished = shards.unfinished()
        self._writer = tf.io.TFRecordWriter(str(self.unfinished))
        self._waiting, self.examples, self.sealed = None, 0, False

    def write(self, leaves: list):
        """Adds examples: an array `(n, ...)` for each component."""
        if self._waiting is not None:
            leaves = [np.concatenate(pair) for pair in zip(self._waiting, leaves, strict=True)]
        while len(leaves[0]) >= self.block:
            self._write_block([leaf[: self.block] for leaf in leaves])
            leaves = [leaf[self.block :] for leaf in leaves]
        self._waiting = leaves

    def close(self, **seal):
        """Makes the shard count, if no other process has sealed it meanwhile.

        Args:
            **seal: What is kept with its checksum.

        Returns:
            The seal that counts.
        """
        if self._waiting is not None and len(self._waiting[0]):
            self._write_block(self._waiting)
        self._writer.flush()
        self._writer.close()
        flush(self.unfinished)
        seal |= {
            "of": self._shards.place(*self._of),
            "examples": self.examples,
            "checksum": _checksum(self.unfinished),
        }
        seal["bytes"] = self.unfinished.stat().st_size
        with alone(self._shards.folder, f"seal-{self._of[1] % _SEALS:02}"):
            known = self._shards.seal(*self._of)
            if known is not None:
                return known
            share(self.unfinished, self._shards.folder)
            os.replace(self.unfinished, self.file)
            self._shards.write_json(self.file.with_suffix(".json"), seal)
            self.sealed = True
        return seal

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


def _read_json(file):
    try:
        found = json.loads(file.read_text())
        if found["checksum"] != _digest(found["content"]):
            raise ValueError("its checksum is another")
        return found["content"]
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise OSError(
            "A file of the cache cannot be read: JSON with its checksum expected. "
            f"Received: '{file}' ({error})"
        ) from error


def _digest(content):
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
