"""The base class of callbacks that change a Distiller."""

from __future__ import annotations

import keras

from keras_kd.distiller import Distiller


class DistillerCallback(keras.callbacks.Callback):
    """A callback that is of use to a Distiller alone, and says so when it is given another model.

    Raises:
        TypeError: When `fit` of a model that is no Distiller receives it.
    """

    def set_model(self, model: keras.Model) -> None:
        """Keras' hook: the model is known, training has not begun."""
        if not isinstance(model, Distiller):
            raise TypeError(
                f"{type(self).__name__} changes a keras_kd.Distiller: pass it to the Distiller's "
                f"`fit`. Received: model={type(model).__name__}"
            )
        super().set_model(model)
