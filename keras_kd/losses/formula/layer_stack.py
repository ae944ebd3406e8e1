"""Layers in a row, for the parts of losses that have networks of their own."""

import keras
from keras import ops

from keras_kd.losses.formula.positions import real_positions


class LayerStack(keras.layers.Layer):
    """Runs layers one after the other, and keeps padding out of what they learn.

    A convolution reads zeros where padding is, as it does beyond the border; a BatchNormalization
    counts real positions only.

    Args:
        layers: The layers. All of the stack's dtype.
        **kwargs: `dtype`, `name`.
    """

    def __init__(self, layers, **kwargs):
        super().__init__(**kwargs)
        self.layers = layers
        self.supports_masking = True  # else Keras warns that the mask ends here

    def build(self, shape):
        """Builds the layers for values of that shape."""
        shape = tuple(shape)
        for layer in self.layers:
            layer.build(shape)
            shape = tuple(layer.compute_output_shape(shape))
        self.output_width = shape[-1]
        self.built = True

    def call(self, value, mask=None, training=None, learning=None):
        """Runs the layers.

        Args:
            value: Tensor `(B, ..., C)`.
            mask: Which positions are real, or None.
            training: Whether BatchNormalization uses the batch's statistics, and keeps them.
            learning: Optional scalar tensor: where it is 0 the kept statistics stay as they are.
        """
        for layer in self.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                value = _normalized(layer, value, mask, training, learning)
                continue
            if mask is not None and len(value.shape) > 3:
                value = value * real_positions(mask, value)
            value = layer(value)
        return value


def block(width, rank, dtype, *, size=1, transposed=False, activation=None):
    """Returns a convolution (for sequences and vectors a Dense layer) and a BatchNormalization.

    Args:
        width: Number of channels that come out.
        rank: Number of axes of the values: 4 for maps.
        dtype: The layers' dtype.
        size: The convolution's height and width.
        transposed: Whether it is a transposed one.
        activation: A layer to put behind, or None.
    """
    if rank == 4:
        kind = keras.layers.Conv2DTranspose if transposed else keras.layers.Conv2D
        first = kind(
            width, size, padding="same", use_bias=False, data_format="channels_last", dtype=dtype
        )
    else:
        first = keras.layers.Dense(width, use_bias=False, dtype=dtype)
    layers = [first, keras.layers.BatchNormalization(dtype=dtype)]
    return layers if activation is None else [*layers, activation]


def _normalized(layer, value, mask, training, learning):
    kept = layer.non_trainable_variables if training and learning is not None else []
    before = [1.0 * ops.convert_to_tensor(variable) for variable in kept]
    value = layer(value, training=training, mask=mask)
    for variable, was in zip(kept, before, strict=True):
        variable.assign(ops.where(learning > 0.0, ops.convert_to_tensor(variable), was))
    return value
