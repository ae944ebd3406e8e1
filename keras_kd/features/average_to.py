"""Adaptive average pooling as a layer, for models that are saved."""

import keras

from keras_kd.losses.formula.resample import average_to


@keras.saving.register_keras_serializable(package="keras_kd")
class AverageTo(keras.layers.Layer):
    """Averages a map or a sequence to a resolution that need not divide its own.

    Args:
        sizes: `(height, width)` of the maps, or `(length,)` of the sequences, that come out.
        **kwargs: `dtype`, `name`.

    Example:

    >>> import numpy as np
    >>> from keras_kd.features.average_to import AverageTo
    >>> AverageTo((2, 3))(np.ones((1, 5, 4, 7))).shape[1:] == (2, 3, 7)
    True
    """

    def __init__(self, sizes, **kwargs):
        super().__init__(**kwargs)
        self.sizes = tuple(sizes)

    def call(self, value):
        """Returns the means of the windows."""
        return average_to(value, self.sizes)

    def compute_output_shape(self, shape):
        """Returns the shape of what comes out."""
        return (shape[0], *self.sizes, shape[-1])

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "sizes": self.sizes}
