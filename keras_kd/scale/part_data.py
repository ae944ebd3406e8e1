"""Examples from what travels to a worker: the name of a TFDS set, or a function that makes them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import keras

from keras_kd.checks import check_takes, check_whole_number
from keras_kd.lazy_modules import tf
from keras_kd.scale.named_data import NamedData

_WANTED = "f() of all examples, or f(start, stop) of those from `start` to before `stop`"


class WholeData:
    """Data that a function makes as a whole; a part is what is left after those before it.

    Args:
        make: `f()` that returns a `tf.data.Dataset` or arrays.
        examples: How many there are; None where the data tell it.
    """

    def __init__(self, make: Callable[[], Any], examples: int | None) -> None:
        self._data = make()
        self._is_dataset = isinstance(self._data, tf.data.Dataset)
        known = int(self._data.cardinality()) if self._is_dataset else _length(self._data, make)
        if known == tf.data.INFINITE_CARDINALITY:
            raise ValueError(
                "The data must come to an end: call `repeat` on what `read` returns. Received: "
                f"dataset={make!r}, of infinite cardinality"
            )
        if known < 0 and examples is None:
            raise ValueError(
                "The data do not tell how many examples they hold, which their parts need: give "
                f"`examples`. Received: dataset={make!r}, of unknown cardinality, examples=None"
            )
        if known >= 0 and examples not in (None, known):
            raise ValueError(
                f"`examples` must be how many there are. Received: examples={examples}, data of "
                f"{known}"
            )
        self.examples = examples if known < 0 else known

    def read(self, start: int, stop: int) -> Any:
        """Returns the examples from position `start` to before `stop`."""
        if not self._is_dataset:
            return keras.tree.map_structure(lambda leaf: leaf[start:stop], self._data)
        rest = self._data.skip(start)
        # More than there should be are found where nothing cuts them off.
        return rest if stop == self.examples else rest.take(stop - start)


def _length(arrays, make):
    leaves = keras.tree.flatten(arrays)
    if not leaves or not all(getattr(leaf, "shape", ()) for leaf in leaves):
        raise TypeError(
            "`dataset` must return an unbatched tf.data.Dataset or arrays x, (x, y) or (x, y, "
            f"sample_weight). Received: dataset={make!r}, which returned a {type(arrays).__name__}"
        )
    return len(leaves[0])


class RangedData:
    """Data of which a function reads any part.

    Args:
        read: `f(start, stop)`.
        examples: How many there are.
    """

    def __init__(self, read: Callable[[int, int], Any], examples: int) -> None:
        self.read, self.examples = read, examples


class PreparedData:
    """Data with a function over each example.

    Args:
        data: One of the above.
        prepare: `f(*example)` that returns `x`, `(x, y)` or `(x, y, sample_weight)`.
    """

    def __init__(self, data: Any, prepare: Callable[..., Any]) -> None:
        self._data, self._prepare, self.examples = data, prepare, data.examples

    def read(self, start: int, stop: int) -> tf.data.Dataset:
        """Returns the examples from position `start` to before `stop`."""
        data = self._data.read(start, stop)
        if not isinstance(data, tf.data.Dataset):
            data = tf.data.Dataset.from_tensor_slices(data)
        return data.map(self._prepare, num_parallel_calls=tf.data.AUTOTUNE)


def check_data_source(
    dataset: Any, split: str | None, data_dir: Any, examples: int | None, prepare: Any
) -> None:
    """Raises a TypeError or ValueError if `open_data` would not know what to do."""
    if prepare is not None and not callable(prepare):
        raise TypeError(f"`prepare` must be a function. Received: prepare={prepare!r}")
    if examples is not None:
        check_whole_number("examples", examples, least=1)
    if isinstance(dataset, str):
        if not isinstance(split, str):
            raise ValueError(
                "A data set of a name needs a `split`, such as 'train'. Received: "
                f"dataset={dataset!r}, split={split!r}"
            )
        if examples is not None:
            raise ValueError(
                f"TFDS knows how many examples there are. Received: examples={examples}"
            )
        return
    if not callable(dataset):
        raise TypeError(
            "`dataset` must be the name of a TFDS set, or a function that makes the data in each "
            f"worker: {_WANTED}. Received: a {type(dataset).__name__}"
        )
    if split is not None or data_dir is not None:
        raise ValueError(
            "`split` and `data_dir` are for the name of a TFDS set. Received: "
            f"split={split!r}, data_dir={data_dir!r}, dataset={dataset!r}"
        )
    if check_takes("dataset", dataset, _WANTED, (0, 2)) == 2 and examples is None:
        raise ValueError(
            "Data that are read by position do not tell how many there are: give `examples`. "
            f"Received: dataset={dataset!r}, examples=None"
        )


def open_data(
    dataset: str | Callable[..., Any],
    split: str | None,
    data_dir: str | os.PathLike | None,
    examples: int | None,
    prepare: Callable[..., Any] | None,
) -> Any:
    """Returns the data, with `examples` and `read(start, stop)`; nothing is read yet.

    Args:
        dataset, split, data_dir, examples, prepare: As `scale.LabelJob` takes them.

    Raises:
        TypeError, ValueError: If there are no such data.
    """
    data: Any
    if isinstance(dataset, str):
        data = NamedData(dataset, str(split), data_dir)
    elif check_takes("dataset", dataset, _WANTED, (0, 2)) == 2:
        data = RangedData(dataset, int(examples or 0))
    else:
        data = WholeData(dataset, examples)
    return data if prepare is None else PreparedData(data, prepare)
