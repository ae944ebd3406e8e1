"""Attention-based fusion of the stages of a network."""

import keras
from keras import ops

from keras_kd.losses.formula.layer_stack import LayerStack, block
from keras_kd.losses.formula.resample import nearest_to


class AttentionFusion(keras.layers.Layer):
    """Fuses each stage's map with what comes from the deeper stages.

    Args:
        mid: Width of what is fused.
        **kwargs: `dtype`, `name`.
    """

    def __init__(self, mid, **kwargs):
        super().__init__(**kwargs)
        self.mid = mid

    def build(self, teacher_shapes, student_shapes):
        """Builds for stages of those shapes, from shallow to deep."""
        self.reduce, self.attend, self.expand = [], [], []
        for theirs, ours in zip(teacher_shapes, student_shapes, strict=True):
            self.reduce.append(self._stack(block(self.mid, 4, self.dtype_policy), ours))
            out = block(theirs[-1], 4, self.dtype_policy, size=3)
            self.expand.append(self._stack(out, (None, *theirs[1:-1], self.mid)))
        for ours in student_shapes[:-1]:  # the deepest has nothing to fuse with
            conv = keras.layers.Conv2D(
                2,
                1,
                activation="sigmoid",
                data_format="channels_last",
                dtype=self.dtype_policy,
            )
            conv.build((None, *ours[1:-1], 2 * self.mid))
            self.attend.append(conv)
        self.built = True

    def fuse(self, number, value, deeper, sizes, training):
        """Returns the stage's map, of the teacher's shape, and what goes to the next."""
        value = self.reduce[number](value, training=training)
        if deeper is not None:
            deeper = nearest_to(deeper, tuple(value.shape)[1:-1])
            attention = self.attend[number](ops.concatenate([value, deeper], axis=-1))
            value = value * attention[..., :1] + deeper * attention[..., 1:]
        value = nearest_to(value, sizes)
        return self.expand[number](value, training=training), value

    def _stack(self, layers, shape):
        stack = LayerStack(layers, dtype=self.dtype_policy)
        stack.build(shape)
        return stack
