"""Writes one file of a cache."""

import uuid

import numpy as np

from keras_kd.cache.fingerprints import file_digest
from keras_kd.cache.shards import seal_of
from keras_kd.lazy_modules import tf

_SEALS = 16  # locks for sealing: writers of other shards seldom wait for each other


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
        self.number, self._shards, self._of = number, shards, (view, number)
        self.place = shards.place_of(shards.name(view, number))
        self.components, self.block = components, block
        self.unfinished = shards.folder.unfinished()
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
        shards, folder = self._shards, self._shards.folder
        seal |= {
            "of": shards.place(*self._of),
            "examples": self.examples,
            "checksum": file_digest(self.unfinished),
            "bytes": self.unfinished.stat().st_size,
        }
        if folder.is_remote:
            seal["file"] = f"shard-{self.number:05}-{uuid.uuid4().hex}.tfrecord"
        with folder.alone(f"seal-{self.number % _SEALS:02}"):
            known = shards.seal(*self._of)
            if known is not None:
                return known
            shards.confirm()
            name = shards.name(*self._of, seal)
            folder.put(self.unfinished, name)
            if folder.size(name) != seal["bytes"]:
                raise OSError(f"'{shards.place_of(name)}' did not arrive whole")
            shards.write_json(seal_of(shards.name(*self._of)), seal)
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
