"""What a teacher says of one example, as a flat list of arrays and back."""

import dataclasses
import math

import keras
import ml_dtypes
import numpy as np

from keras_kd.lazy_modules import tf


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
        return math.prod(self.shape) * self._stored.itemsize

    def encode(self, values: np.ndarray) -> bytes:
        """Returns the values `(n, *shape)` as they are stored, little end first."""
        return np.ascontiguousarray(values.astype(self._stored)).tobytes()

    def decode(self, content: "tf.Tensor") -> "tf.Tensor":
        """Returns a tensor `(n, *shape)` from what `encode` gave."""
        values = tf.reshape(tf.io.decode_raw(content, self.dtype), (-1, *self.shape))
        values = tf.cast(values, self.read_as)
        return tf.sigmoid(values) if self.probabilities else values

    def decode_array(self, content) -> np.ndarray:
        """Returns what `decode` does as a NumPy array, without TensorFlow."""
        values = np.frombuffer(content, self._stored).reshape(-1, *self.shape).astype(self.read_as)
        return np.exp(-np.logaddexp(0.0, -values)) if self.probabilities else values

    def plain(self):
        """Returns the component as it is stored: probabilities as logits."""
        return dataclasses.replace(self, probabilities=False)

    @property
    def _stored(self):
        return np.dtype(ml_dtypes.bfloat16 if self.dtype == "bfloat16" else self.dtype)

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
