"""Data of which someone reads a part, and that nevertheless stay whole.

An iterator of TensorFlow that is dropped is cancelled. What is just read behind it may then seem to
be at its end, and a `Dataset.cache()` in memory takes what it has by then for all there is: every
later reading is too short (seen with TensorFlow 2.21, where TFDS reads files).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from keras_kd.lazy_modules import tf

if TYPE_CHECKING:
    import tensorflow


def cached(dataset: tensorflow.data.Dataset, count: int) -> tensorflow.data.Dataset:
    """Returns a data set of `count` elements that is kept in memory once all of them were read.

    What ends before is an error to the cache, so that it begins anew.
    """
    return dataset.apply(tf.data.experimental.assert_cardinality(count)).cache()


def ended(dataset: tensorflow.data.Dataset) -> Iterator[Any]:
    """Yields what a data set holds, and brings the reading to its end where its user stops early.

    Two elements are read ahead, and no more once it stops, so that nothing behind is cancelled.

    Args:
        dataset: Any that does not itself end in a `prefetch`, which would be cancelled.

    Yields:
        Its elements.
    """
    stopped = tf.lookup.experimental.MutableHashTable(tf.int64, tf.int64, default_value=0)
    key, yes = tf.constant(0, tf.int64), tf.constant(1, tf.int64)
    going_on = dataset.take_while(lambda *_: tf.not_equal(stopped.lookup(key), yes))
    elements = iter(going_on.prefetch(2))
    try:
        yield from elements
    finally:
        stopped.insert(key, yes)
        with contextlib.suppress(tf.errors.OpError):  # nobody asked for these elements
            for _ in elements:
                pass
