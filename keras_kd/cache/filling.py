"""Labels what a cache does not hold yet, and checks what it holds."""

import keras

from keras_kd.cache.components import rows_of
from keras_kd.cache.fingerprints import ContentDigest
from keras_kd.cache.progress import progress
from keras_kd.cache.shards import ShardWriter, writing

_WAY_OUT = "Give the data that were labelled, or label these into another folder"


class Filling:
    """Passes over the data: shards that are missing are labelled, those that are there checked.

    Args:
        shards: The `Shards`.
        source: The `Source`.
        labeller: The `Labeller`, or None if there is no teacher.
        header: The cache's header.
        batch_size: Examples that the teacher sees at a time.
    """

    def __init__(self, shards, source, labeller, header, batch_size):
        self.shards, self.source, self.labeller = shards, source, labeller
        self.size, self.block = header["shard_examples"], header["block_examples"]
        self.batch_size = batch_size
        self.check_length(source.length)

    def label(self, worker=0, workers=1):
        """Labels the missing shards whose turn it is, one view after the other."""
        for view in range(self.source.views):
            if self._is_missing(view, worker, workers):
                of = f", view {view + 1} of {self.source.views}" if self.source.views > 1 else ""
                batches = self.source.batches(view, self.batch_size)
                self._pass(
                    view,
                    batches,
                    name=f"labelling{of}",
                    total=self.source.length,
                    turn=(worker, workers),
                )

    def check(self, whole):
        """Compares the data with what was labelled: all of them, or those of the first shard."""
        total = self.shards.examples
        data = self.source.untouched(self.batch_size, None if whole else self.size)
        batches = ((x, None) for x in data)
        total = total if whole else min(total, self.size)
        self._pass(0, batches, name="checking the data", total=total, whole=whole)

    def check_length(self, found):
        """Raises if the data have become longer or shorter; below 0 is an unknown length."""
        known = self.shards.examples
        if known is not None and 0 <= found != known:
            raise ValueError(
                f"The data set {'grew' if found > known else 'shrank'} since it was labelled. "
                f"{_WAY_OUT}. Received: {found} examples, {known} labelled"
            )

    def _is_missing(self, view, worker, workers):
        if self.shards.examples is None:
            return True
        mine = range(worker, -(-self.shards.examples // self.size), workers)
        return any(self.shards.seal(view, number) is None for number in mine)

    def _pass(self, view, batches, *, name, total, turn=None, whole=True):
        position, shard = 0, None
        try:
            with progress(name, total if total >= 0 else None) as advance:
                for x, seen in batches:
                    count, answers = rows_of(x), None
                    for number, rows in _split(position, count, self.size):
                        if shard is None or number != shard.number:
                            self._finish(shard)
                            shard = self._open(view, number, turn)
                        if shard.writer is not None and answers is None:
                            answers = self.labeller(seen, position)
                        shard.add(x, rows, answers)
                    position += count
                    advance(count)
            self._finish(shard)
            shard = None
        finally:
            if shard is not None and shard.writer is not None:
                shard.writer.abandon()
        if self.shards.examples is None:
            self.shards.end(position)
        elif whole:
            self.check_length(position)

    def _open(self, view, number, turn):
        seal, known = self.shards.seal(view, number), self.shards.seal(0, number)
        writer = None
        if seal is None and turn is not None and number % turn[1] == turn[0]:
            writer = ShardWriter(
                self.shards,
                view,
                number,
                self.labeller.components,
                block=self.block,
                worker=f"{turn[0]}-of-{turn[1]}",
            )
        return _Passing(number, seal or known, writer)

    def _finish(self, shard):
        if shard is None:
            return
        content, seal = shard.digest.hexdigest(), shard.seal
        if seal is not None and seal["examples"] != shard.examples:
            self._refuse_length(shard)
        if seal is not None and seal["content"] != content:
            first = shard.number * self.size
            raise ValueError(
                "The data set is not the one that was labelled, or comes in another order. "
                f"{_WAY_OUT}. Received: other content among the examples {first} to "
                f"{first + shard.examples - 1}"
            )
        if shard.writer is not None:
            with writing(self.shards.folder):
                shard.writer.close(content=content)
            shard.writer = None

    def _refuse_length(self, shard):
        first = shard.number * self.size
        grew = shard.examples > shard.seal["examples"]
        raise ValueError(
            f"The data set {'grew' if grew else 'shrank'} since it was labelled. {_WAY_OUT}. "
            f"Received: {'more than ' if grew else ''}"
            f"{first + min(shard.examples, shard.seal['examples'])} examples, "
            f"{first + shard.seal['examples']} labelled"
        )


class _Passing:
    """A shard that the data are passing by."""

    def __init__(self, number, seal, writer):
        self.number, self.seal, self.writer = number, seal, writer
        self.digest, self.examples = ContentDigest(), 0

    def add(self, x, rows, answers):
        self.digest.update(keras.tree.map_structure(lambda leaf: leaf[rows], x))
        self.examples += rows.stop - rows.start
        if self.writer is not None:
            with writing(self.writer.file.parent):
                self.writer.write([answer[rows] for answer in answers])


def _split(position, count, size):
    """Yields `(shard, rows)` for the parts of a batch that begins at `position`."""
    start = 0
    while start < count:
        number = (position + start) // size
        stop = min(count, (number + 1) * size - position)
        yield number, slice(start, stop)
        start = stop
