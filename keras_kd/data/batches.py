"""One way to walk the data arguments of `compare` and `export_student`."""

from collections.abc import Iterable, Iterator

import keras
import numpy as np


def batches(data, batch_size: int = 32) -> Iterator[tuple]:
    """Walks `data` once and yields NumPy batches `(x, y, sample_weight)`.

    Args:
        data: A batched `tf.data.Dataset`, a `keras.utils.PyDataset`, an array `x` (or a dict of
            arrays), or a tuple `(x, y)` or `(x, y, sample_weight)` of arrays.
        batch_size: Examples per batch when `data` holds arrays; data sets are batched already.

    Yields:
        Tuples `(x, y, sample_weight)`; `y` and `sample_weight` are `None` where `data` has none.

    Raises:
        ValueError: If `data` is of another kind or yields nothing.
    """
    found = False
    for element in _elements(data, batch_size):
        found = True
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(element)
        yield _to_numpy(x), _to_numpy(y), _to_numpy(sample_weight)
    if not found:
        raise ValueError(f"`data` yields no batch. Received: data={data}")


def _elements(data, batch_size):
    if isinstance(data, keras.utils.PyDataset):
        return (data[index] for index in range(len(data)))
    if hasattr(data, "element_spec"):  # tf.data.Dataset, without importing TensorFlow here
        return iter(data)
    if isinstance(data, tuple | dict | np.ndarray) or hasattr(data, "__array__"):
        return _slices(data, batch_size)
    raise ValueError(
        "`data` must be a batched tf.data.Dataset, a PyDataset, or arrays `x` or `(x, y)`. "
        f"Received: data={type(data).__name__}"
    )


def _slices(arrays, batch_size) -> Iterable:
    leaves = [np.asarray(leaf) for leaf in keras.tree.flatten(arrays) if leaf is not None]
    lengths = {len(leaf) for leaf in leaves}
    if len(lengths) > 1:
        raise ValueError(f"Arrays of one length were expected. Received: lengths={sorted(lengths)}")
    for start in range(0, lengths.pop() if lengths else 0, batch_size):
        yield keras.tree.map_structure(
            lambda leaf: None if leaf is None else np.asarray(leaf)[start : start + batch_size],
            arrays,
        )


def _to_numpy(structure):
    return keras.tree.map_structure(
        lambda leaf: None if leaf is None else keras.ops.convert_to_numpy(leaf), structure
    )
