"""What a teacher says of one example, as a flat list of arrays and back."""

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Component:
    """One array that is stored for every example.

    Attributes:
        shape: Its shape, without the batch.
        dtype: What it is stored as.
        read_as: What it is read as.
        probabilities: Whether it is probabilities, which are stored as the logits of their
            sigmoids and given back as they were.
    """

    shape: tuple
    dtype: str
    read_as: str = "float32"
    probabilities: bool = False

    @property
    def size(self) -> int:
        """Bytes of one example."""
        return math.prod(self.shape) * tf.as_dtype(self.dtype).size

    def encode(self, values: np.ndarray) -> bytes:
        """Returns the values `(n, *shape)` as they are stored, little end first."""
        stored = values.astype(tf.as_dtype(self.dtype).as_numpy_dtype)
        return np.ascontiguousarray(stored).tobytes()

    def decode(self, content: tf.Tensor) -> tf.Tensor:
        """Returns a tensor `(n, *shape)` from what `encode` gave."""
        values = tf.reshape(tf.io.decode_raw(content, self.dtype), (-1, *self.shape))
        values = tf.cast(values, self.read_as)
        return tf.sigmoid(values) if self.probabilities else values

    def plain(self):
        """Returns the component as it is stored: probabilities as logits."""
        return dataclasses.replace(self, probabilities=False)

    def config(self) -> dict:
        """Returns what `Component(**config)` takes."""
        return {**dataclasses.asdict(self), "shape": list(self.shape)}


def describe(structure):
    """Returns `(description, leaves)`: a nest as what JSON can hold, with leaves by number."""
    leaves = []

    def walk(part):
        if isinstance(part, dict):
            return {"dict": {name: walk(part[name]) for name in sorted(part)}}
        if isinstance(part, list | tuple):
            return {"tuple": [walk(each) for each in part]}
        leaves.append(part)
        return len(leaves) - 1

    return walk(structure), leaves


def rebuild(description, leaves):
    """Returns the nest that `describe` took apart; lists have become tuples, as tf.data wants."""
    if isinstance(description, int):
        return leaves[description]
    if "dict" in description:
        return {name: rebuild(part, leaves) for name, part in description["dict"].items()}
    return tuple(rebuild(part, leaves) for part in description["tuple"])


def rows_of(structure) -> int:
    """Returns the number of examples in a batch."""
    return len(keras.tree.flatten(structure)[0])
