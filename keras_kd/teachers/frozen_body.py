"""A part of a model that only answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import keras

from keras_kd.features.nested_config import uncompiled_config, with_parts


@keras.saving.register_keras_serializable(package="keras_kd")
class FrozenBody(keras.layers.Layer):
    """Runs a model in inference mode, whatever the model around it does.

    Keras hands `training` of `fit` to all that a Functional model holds, what was called with
    `training=False` too: a frozen layer's dropout would go on. And `trainable = True` of a model
    around it thaws all that this model holds: here it stays False, also inside.

    Args:
        body: A model, which is frozen here.
        **kwargs: Keras' `name` and `dtype`; a `trainable` is of no effect.
    """

    def __init__(self, body: keras.Model, **kwargs: Any) -> None:
        kwargs = {"dtype": body.dtype_policy, **kwargs, "trainable": False}
        super().__init__(autocast=False, **kwargs)
        body.trainable = False
        self.body = body
        self.built = True

    @property
    def trainable(self) -> bool:
        """False, whatever it is set to."""
        return False

    @trainable.setter
    def trainable(self, value: bool) -> None:
        keras.layers.Layer.trainable.fset(self, False)

    def call(self, inputs: Any) -> Any:
        """Returns what the body gives, with its mask."""
        return self.body(inputs, training=False)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "body": uncompiled_config(self.body)}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        """Makes the layer that `get_config` described."""
        return cls(**with_parts(config, ["body", "dtype"], custom_objects))
