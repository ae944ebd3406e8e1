"""Labels what a cache does not hold yet, and checks what it holds."""

import collections
import concurrent.futures

import keras
import numpy as np

from keras_kd.cache.components import rows_of
from keras_kd.cache.fingerprints import ContentDigest, content_digest
from keras_kd.cache.progress import progress
from keras_kd.cache.shard_writer import ShardWriter
from keras_kd.cache.shards import writing

FIRST = 64  # examples of a shard whose views are looked at where not all are
_LOOKED_AT = 16  # shards
_AHEAD = 2  # batches that the teacher may be ahead of what is written
_WAY_OUT = "Give the data that were labelled, or label these into another folder"


class Filling:
    """Passes over the data: shards that are missing are labelled, those that are there checked.

    Args:
        shards: The `Shards`.
        source: The `Source`.
        labeller: The `Labeller`, or None if there is no teacher.
        header: The cache's header.
        batch_size: Examples that the teacher sees at a time.

    Attributes:
        sealed_examples, sealed_bytes: What was labelled here and counts, over all views.
    """

    def __init__(self, shards, source, labeller, header, batch_size):
        self.shards, self.source, self.labeller = shards, source, labeller
        self.size, self.block = header["shard_examples"], header["block_examples"]
        self.batch_size = batch_size
        self.sealed_examples = self.sealed_bytes = 0
        self._passed_by = []
        self.check_length(source.total)

    def label(self, worker=0, workers=1) -> bool:
        """Labels the missing shards whose turn it is, one view after the other.

        Returns whether there were any, and so all data were read and compared.
        """
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
        return bool(self._passed_by)

    def confirm(self):
        """Compares what was read here with the seals that count now, another process' or ours."""
        for passing, shard in self._passed_by:
            shard.seal = self.shards.seal(passing.view, shard.number)
            passing.compare(shard)

    def label_range(self, first, last):
        """Labels what is missing of the shards from `first` to before `last`, which `source` holds.

        The shards before the first missing one and after the last are not read.
        """
        views = self.source.views
        for view in range(views):
            missing = [n for n in range(first, last) if self.shards.seal(view, n) is None]
            if missing:
                start, stop = missing[0] * self.size, (missing[-1] + 1) * self.size
                source = self.source.part(start, min(stop, self.source.total))
                of = f", view {view + 1} of {views}" if views > 1 else ""
                self._pass(
                    view,
                    source.batches(view, self.batch_size),
                    name=f"labelling{of}",
                    total=source.length,
                    turn=(0, 1),
                    whole=False,  # `source` says itself where a part has another length
                    start=start,
                )

    def check(self, whole):
        """Compares the data with what was labelled: all of them with all their views, or the first
        shard's and some of each view's."""
        total = self.shards.examples if whole else min(self.shards.examples, self.size)
        if whole and self.source.augment is not None:
            for view in range(self.source.views):
                batches = self.source.batches(view, self.batch_size)
                self._pass(view, batches, name=f"checking the data, view {view + 1}", total=total)
            return
        data = self.source.untouched(self.batch_size, None if whole else self.size)
        batches = ((x, None) for x in data)
        self._pass(0, batches, name="checking the data", total=total, whole=whole)
        if self.source.augment is not None:
            self._check_some_views()

    def _check_some_views(self):
        """Compares the first examples of some shards, spread over the data and over all views."""
        shards, views = -(-self.shards.examples // self.size), self.source.views
        count = min(FIRST, self.size)
        places = {
            (turn * shards // _LOOKED_AT % shards, turn % views)
            for turn in range(max(views, _LOOKED_AT))
        }
        numbers = sorted({number for number, _ in places})
        windows = self.source.windows([number * self.size for number in numbers], count)
        for number, window in zip(numbers, windows, strict=True):
            for view in sorted(view for each, view in places if each == number):
                seal, seen = self.shards.seal(view, number), self.source.seen(window, view)
                if seal is not None and content_digest(seen) != seal.get("seen_first"):
                    first = number * self.size
                    raise ValueError(_other_augmentation(view, first, rows_of(seen)))

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

    def _pass(self, view, batches, *, name, total, turn=None, whole=True, start=0):
        passing = _Pass(self, view, turn)
        position, waiting = start, collections.deque()
        # The teacher stays in the caller's thread, with its device and strategy; what it said is
        # compared and written meanwhile.
        try:
            with (
                progress(name, total if total >= 0 else None) as advance,
                concurrent.futures.ThreadPoolExecutor(1) as writer,
            ):
                for x, seen in batches:
                    count, answers = rows_of(x), None
                    if passing.wants(position, count):
                        answers = self.labeller(seen, position)
                    waiting.append(writer.submit(passing.take, (x, seen), position, answers))
                    if len(waiting) > _AHEAD:
                        waiting.popleft().result()
                    position += count
                    advance(count)
                while waiting:
                    waiting.popleft().result()
            passing.finish()
        finally:
            passing.abandon()
        if self.shards.examples is None:
            self.shards.end(position)
        elif whole:
            self.check_length(position)

    def note(self, passing, shard):
        """Notes that the data of a shard were read, in a pass."""
        self._passed_by.append((passing, shard))

    def is_to_write(self, view, number, turn):
        """Returns whether a shard is missing and belongs to the worker whose turn it is."""
        mine = turn is not None and number % turn[1] == turn[0]
        return mine and self.shards.seal(view, number) is None


class _Pass:
    """The shards of one view, one after the other."""

    def __init__(self, filling, view, turn):
        self.filling, self.view, self.turn = filling, view, turn
        self.shard, self.broken = None, False
        self.to_write = {}

    def wants(self, position, count):
        """Returns whether one of these examples belongs to a shard that is to be written.

        That is decided once a shard: another process may seal it meanwhile.
        """
        first, last = position // self.filling.size, (position + count - 1) // self.filling.size
        for number in range(first, last + 1):
            if number not in self.to_write:
                self.to_write[number] = self.filling.is_to_write(self.view, number, self.turn)
        return any(self.to_write[number] for number in range(first, last + 1))

    def take(self, data, position, answers):
        """Compares the next examples, and writes what the teacher said where that is missing."""
        if self.broken:  # the batch before raised: what comes after it is not the next
            return
        self.broken = True
        # Slices of tensors would be copies.
        data = [
            each if each is None else keras.tree.map_structure(np.asarray, each) for each in data
        ]
        for number, rows in _split(position, rows_of(data[0]), self.filling.size):
            if self.shard is None:
                self.shard = self._open(number)
            self.shard.add(data, rows, answers)
            if self.shard.examples == self.filling.size:
                self.finish()
        self.broken = False

    def finish(self):
        """Seals or checks the shard that the data have passed by."""
        shard, self.shard = self.shard, None
        if shard is None:
            return
        try:
            self.compare(shard)
            self.filling.note(self, shard)
            if shard.writer is not None:
                with writing(self.filling.shards.folder):
                    content = shard.digest.hexdigest()
                    seal = shard.writer.close(content=content, **shard.seen_digests())
                shard.seal = seal  # another process' if that was faster
                self.compare(shard)
                if shard.writer.sealed:
                    self.filling.sealed_examples += seal["examples"]
                    self.filling.sealed_bytes += seal["bytes"]
        finally:
            self._leave(shard)

    def compare(self, shard):
        """Raises if what passed by is not what was sealed."""
        if shard.seal is None:
            return
        first = shard.number * self.filling.size
        if shard.seal["examples"] != shard.examples:
            self._refuse_length(shard)
        if shard.seal["content"] != shard.digest.hexdigest():
            raise ValueError(
                "The data set is not the one that was labelled, or comes in another order. "
                f"{_WAY_OUT}. Received: other content among the examples {first} to "
                f"{first + shard.examples - 1}"
            )
        if shard.is_other_view():
            raise ValueError(_other_augmentation(self.view, first, shard.examples))

    def abandon(self):
        """Leaves nothing of a shard that will not be whole."""
        self._leave(self.shard)

    @staticmethod
    def _leave(shard):
        if shard is not None and shard.writer is not None:
            shard.writer.abandon()
            shard.writer = None

    def _open(self, number):
        filling, shards, writer = self.filling, self.filling.shards, None
        seal, known = shards.seal(self.view, number), shards.seal(0, number)
        if self.to_write[number]:
            writer = ShardWriter(
                shards,
                self.view,
                number,
                filling.labeller.components,
                block=filling.block,
            )
        if seal is None and known is not None:  # of another view: of the data alone it can tell
            known = {name: known[name] for name in known if not name.startswith("seen")}
        return _Passing(number, seal or known, writer, filling.source.augment is not None)

    def _refuse_length(self, shard):
        first = shard.number * self.filling.size
        grew = shard.examples > shard.seal["examples"]
        raise ValueError(
            f"The data set {'grew' if grew else 'shrank'} since it was labelled. {_WAY_OUT}. "
            f"Received: {'more than ' if grew else ''}"
            f"{first + min(shard.examples, shard.seal['examples'])} examples, "
            f"{first + shard.seal['examples']} labelled"
        )


class _Passing:
    """A shard that the data are passing by."""

    def __init__(self, number, seal, writer, sees_views):
        self.number, self.seal, self.writer = number, seal, writer
        self.digest, self.examples = ContentDigest(), 0
        self._seen = _SeenDigests() if sees_views else None

    def add(self, data, rows, answers):
        x, seen = data
        self.digest.update(keras.tree.map_structure(lambda leaf: leaf[rows], x))
        if self._seen is not None and seen is not None:
            self._seen.update(keras.tree.map_structure(lambda leaf: leaf[rows], seen))
        self.examples += rows.stop - rows.start
        if self.writer is not None:
            with writing(self.writer.place):
                self.writer.write([answer[rows] for answer in answers])

    def seen_digests(self):
        """Returns what the seal keeps of the view that the teacher saw."""
        return {} if self._seen is None else self._seen.hexdigests()

    def is_other_view(self):
        """Whether the teacher saw other views of these examples than those that now pass by."""
        digests = self.seen_digests()
        if self.seal is None or "seen" not in self.seal or not digests.get("seen"):
            return False
        return self.seal["seen"] != digests["seen"]


class _SeenDigests:
    """Digests of what the teacher saw of a shard's examples: of all, and of the first few."""

    def __init__(self):
        self.whole, self.first, self.examples = ContentDigest(), ContentDigest(), 0

    def update(self, seen):
        self.whole.update(seen)
        few = FIRST - self.examples
        if few > 0:
            self.first.update(keras.tree.map_structure(lambda leaf: leaf[:few], seen))
        self.examples += rows_of(seen)

    def hexdigests(self):
        if not self.examples:
            return {}
        return {"seen": self.whole.hexdigest(), "seen_first": self.first.hexdigest()}


def _other_augmentation(view, first, count):
    return (
        "The augmentation is not the one whose views were labelled. Give that function, or label "
        f"the data into another folder. Received: other views among the examples {first} to "
        f"{first + count - 1}, view {view}"
    )


def _split(position, count, size):
    """Yields `(shard, rows)` for the parts of a batch that begins at `position`."""
    start = 0
    while start < count:
        number = (position + start) // size
        stop = min(count, (number + 1) * size - position)
        yield number, slice(start, stop)
        start = stop
