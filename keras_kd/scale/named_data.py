"""A set of TensorFlow Datasets, read in parts."""

from __future__ import annotations

import os

from keras_kd.data.tfds_builder import tfds_builder
from keras_kd.lazy_modules import tf, tfds


class NamedData:
    """A set of TensorFlow Datasets, of which any part is read without what stands before it.

    Its files are read one after the other, so that the order is the same whatever is read.

    Args:
        name: A TFDS name.
        split: One of its splits, slices and sums of them too.
        data_dir: TFDS' folder; None is its default.

    Attributes:
        examples: How many there are.
    """

    def __init__(self, name: str, split: str, data_dir: str | os.PathLike | None) -> None:
        self._builder = tfds_builder(name, data_dir)
        if not self._builder.is_prepared():
            raise ValueError(
                "The data set must be prepared before workers read it: once, "
                f"`tfds.builder({name!r}, data_dir=...).download_and_prepare()`. Received: "
                f"dataset={name!r}, nothing in '{self._builder.data_dir}'"
            )
        try:
            instruction = tfds.core.ReadInstruction.from_spec(split)
            absolute = instruction.to_absolute(self._builder.info.splits)
        except (AssertionError, KeyError, NotImplementedError, ValueError) as error:
            raise ValueError(
                f"`split` must be of {sorted(self._builder.info.splits)}. Received: "
                f"split={split!r} ({error})"
            ) from error
        self._ranges = [self._range(each) for each in absolute]
        self.examples = sum(stop - start for _, start, stop in self._ranges)

    def read(self, start: int, stop: int) -> tf.data.Dataset:
        """Returns the examples from position `start` to before `stop`."""
        return self._builder.as_dataset(
            split=self._split(start, stop),
            shuffle_files=False,
            as_supervised=self._builder.info.supervised_keys is not None,
            read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
        )

    def _range(self, instruction):
        """Returns the name of a split, and where in it to begin and to stop."""
        name, first, last = instruction.splitname, instruction.from_, instruction.to
        size = self._builder.info.splits[name].num_examples
        return name, first or 0, size if last is None else last

    def _split(self, start, stop):
        found, position = [], 0
        for name, first, last in self._ranges:
            begin, end = max(start - position, 0), min(stop - position, last - first)
            if begin < end:
                found.append(f"{name}[{first + begin}:{first + end}]")
            position += last - first
        return "+".join(found)
