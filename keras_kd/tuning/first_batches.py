"""The first batches of data, which need not end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import keras

from keras_kd.data.batches import batches


def first_batches(data: Any, count: int | None) -> Iterator[tuple]:
    """Yields `(x, y, sample_weight)` as `batches` does, of so many batches at most.

    Args:
        data: As `batches` takes them, or a data set that never ends.
        count: How many; None is all there are, of data that end.
    """
    if count is not None and isinstance(data, keras.utils.PyDataset) and data.num_batches is None:
        for number in range(count):
            element = keras.utils.unpack_x_y_sample_weight(data[number])
            yield from batches(element, len(keras.tree.flatten(element[0])[0]))
        return
    if count is not None and hasattr(data, "take") and hasattr(data, "element_spec"):
        data = data.take(count)
    yield from itertools.islice(batches(data), count)
