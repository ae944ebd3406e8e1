"""One way to walk the data arguments of `compare` and `export_student`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np


def batches(data: Any, batch_size: int = 32) -> Iterator[tuple]:
    """Walks `data` once and yields NumPy batches `(x, y, sample_weight)`.

    Args:
        data: A batched `tf.data.Dataset`, a `keras.utils.PyDataset`, an array `x` (or a dict of
            arrays), or a tuple `(x, y)` or `(x, y, sample_weight)` of arrays. `x` and `y` may be
            nested: a model with two inputs takes `([a, b], y)` or `({"a": a, "b": b}, y)`.
        batch_size: Examples per batch when `data` holds arrays; data sets are batched already.

    Yields:
        Tuples `(x, y, sample_weight)`; `y` and `sample_weight` are `None` where `data` has none.

    Raises:
        ValueError: If `data` is of another kind, is not batched, never ends or yields nothing.

    Example:
        >>> import numpy as np
        >>> from keras_kd.data.batches import batches
        >>> x, y = np.zeros((5, 2)), np.zeros(5)
        >>> [len(batch_x) for batch_x, _, _ in batches((x, y), batch_size=2)]
        [2, 2, 1]
    """
    found = False
    for element in _elements(data, batch_size):
        found = True
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(element)
        batch = _to_numpy(x), _to_numpy(y), _to_numpy(sample_weight)
        _check_batched(batch)
        yield batch
    if not found:
        raise ValueError(f"`data` yields no batch. Received: data={data}")


def _elements(data, batch_size) -> Iterable:
    if isinstance(data, keras.utils.PyDataset):
        return _walk(data)
    if hasattr(data, "element_spec"):  # tf.data.Dataset, without importing TensorFlow here
        if getattr(data, "cardinality", None) is not None and int(data.cardinality()) == -1:
            raise ValueError(
                "`data` never ends: give a data set without `repeat()`, or cut it with "
                f"`take(number_of_batches)`. Received: data={data}"
            )
        return iter(data)
    if isinstance(data, tuple | dict) or hasattr(data, "__array__"):
        return _slices(data, batch_size)
    raise ValueError(
        "`data` must be a batched tf.data.Dataset, a PyDataset, or arrays `x` or `(x, y)`. "
        f"Received: data={data!r} (of type {type(data).__name__})"
    )


def _walk(data):
    if data.num_batches is None:
        raise ValueError(
            "`data` never ends: a PyDataset whose `num_batches` is a number was expected. "
            f"Received: data={data}"
        )
    return (data[index] for index in range(data.num_batches))


def _slices(arrays, batch_size):
    arrays = keras.tree.map_structure(
        lambda leaf: None if leaf is None else np.asarray(leaf), arrays
    )
    shapes = [leaf.shape for leaf in keras.tree.flatten(arrays) if leaf is not None]
    if () in shapes:
        raise ValueError(
            "`data` must hold arrays with one entry an example along their first axis, not "
            f"Python numbers or lists of numbers. Received: shapes={shapes[:8]}"
        )
    if len({shape[0] for shape in shapes}) > 1:
        raise ValueError(
            "`data` must hold arrays with the same number of examples. "
            f"Received: lengths={[shape[0] for shape in shapes]}"
        )
    for start in range(0, shapes[0][0] if shapes else 0, batch_size):
        part = slice(start, start + batch_size)
        yield keras.tree.map_structure(
            lambda leaf, part=part: None if leaf is None else leaf[part], arrays
        )


def _to_numpy(structure):
    return keras.tree.map_structure(
        lambda leaf: None if leaf is None else keras.ops.convert_to_numpy(leaf), structure
    )


def _check_batched(batch):
    shapes = [leaf.shape for leaf in keras.tree.flatten(batch) if leaf is not None]
    if len({shape[:1] for shape in shapes}) > 1 or () in shapes:
        raise ValueError(
            "`data` must yield batches, in which inputs, targets and weights have one first "
            "axis in common: call `data.batch(32)` first where `data` yields single examples. "
            f"Received: shapes={shapes}"
        )
