"""KerasHub's preprocessors without the time that tracing them takes."""

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")


class Untraced:
    """KerasHub's, run in Python by `tf.data` too, which takes a second to trace its operations."""

    traced = False

    def call(self, x, y=None, sample_weight=None):
        if self.traced or tf.executing_eagerly():
            return super().call(x, y, sample_weight)
        with tf.init_scope():
            like = self._call_python(["a"])
        leaves = [np.asarray(leaf) for leaf in keras.tree.flatten(like)]

        def made(texts):
            found = self._call_python(np.char.decode(np.asarray(texts, "S")).tolist())
            pairs = zip(keras.tree.flatten(found), leaves, strict=True)
            return [np.asarray(each, leaf.dtype) for each, leaf in pairs]

        parts = tf.numpy_function(made, [x], [leaf.dtype for leaf in leaves])
        for part, leaf in zip(parts, leaves, strict=True):
            part.set_shape((*x.shape, *leaf.shape[1:]))
        found = keras.tree.pack_sequence_as(like, parts)
        return found if y is None else keras.utils.pack_x_y_sample_weight(found, y, sample_weight)
