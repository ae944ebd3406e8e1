"""Data that several workers label, of which each reads its own part."""

import operator

import keras

from keras_kd.cache.components import rows_of
from keras_kd.cache.fingerprints import content_digest
from keras_kd.cache.source_data import HEAD, Source
from keras_kd.version import __version__

_AGREED = {
    "count": (
        "in another number of parts: their shards would overlap or leave holes",
        "go on with that `count`",
    ),
    "examples": ("of a data set of another length", "give the data that were labelled"),
    "version": (
        "by another version of keras_kd",
        "install that version for all workers",
    ),
}


class Parts:
    """Unbatched examples in a fixed order that can be read from any position on.

    Args:
        read: `f(start, stop)` that returns the examples from position `start` to before `stop`, as
            a `tf.data.Dataset` or arrays. Nothing else is read.
        examples: How many examples there are.
        augment, views: As a `Source` takes them.
        source: `f(data, first=position)` that returns a `Source` with these.
    """

    def __init__(self, read, examples, augment, views, source):
        self.total, self.augment, self.views = examples, augment, views
        self._read, self._source = read, source

    def head(self, count) -> Source:
        """Returns the first examples, by which the data are known.

        Raises:
            ValueError: If `read` gives others when it begins at another position.
        """
        count = min(self.total, max(count, HEAD))
        head = self._source(self._read(0, count))
        middle, stop = min(count, HEAD) // 2, min(count, HEAD)
        if middle:
            known = next(head.untouched(stop, stop))
            again = next(self._part(middle, stop).untouched(stop), None)
            if again is None or _after(known, middle) != content_digest(again):
                raise ValueError(
                    "Data in parts must begin where they are told to: `read(start, stop)` gives "
                    "the examples from position `start` to before `stop`, always the same. "
                    f"Received: others in read({middle}, {stop}) than there in read(0, {count})"
                )
        return head

    def part(self, start, stop) -> "_Exactly":
        """Returns the examples from `start` to before `stop`, with what reads them in batches."""
        return _Exactly(self._part(start, stop), stop - start)

    def _part(self, start, stop):
        return self._source(self._read(start, stop), first=start)


class _Exactly:
    """A part that must have as many examples as were asked for."""

    def __init__(self, source, length):
        self.source, self.length = source, length

    def batches(self, view, size):
        """Yields what `Source.batches` yields; a part that is too short is never sealed."""
        found = 0
        for x, seen in self.source.batches(view, size):
            found += rows_of(x)
            if found > self.length:
                self._refuse(f"more than {self.length}")
            yield x, seen
        if found < self.length:
            self._refuse(found)

    def _refuse(self, found):
        start = self.source.first
        raise ValueError(
            f"`read({start}, {start + self.length})` must give {self.length} examples: `examples` "
            f"is how many there are in all. Received: {found} examples"
        )


def shards_of(index, count, examples, size) -> range:
    """Returns the shards of one of `count` parts: neighbours, so that they are read in one go."""
    shards = -(-examples // size)
    return range(shards * index // count, shards * (index + 1) // count)


def agreement(count, examples) -> dict:
    """Returns what all workers must agree about."""
    return {"count": count, "examples": examples, "version": __version__}


def check_agreement(known, wanted, folder):
    """Raises a ValueError that says in what this worker does not agree with the first."""
    for name, value in wanted.items():
        if known[name] != value:
            problem, advice = _AGREED[name]
            raise ValueError(
                f"The cache in '{folder}' is labelled {problem}. Either {advice}, or, while no "
                "worker runs, delete its parts.json: complete shards stay. Received: "
                f"{name}={value!r}, the first worker had {known[name]!r}"
            )


def _after(batch, start):
    return content_digest(keras.tree.map_structure(operator.itemgetter(slice(start, None)), batch))
