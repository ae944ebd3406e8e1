"""A learning rate that follows the size of the weights."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_number
from keras_kd.distiller import Distiller


class WeightNormRate(keras.callbacks.Callback):
    """Sets the learning rate before each batch to a multiple of one over the weights' norm.

    ```
    learning_rate = multiple / sqrt(sum over the student's trainable weights of w^2)
    ```

    The norm is that of all the student's trainable weights together, in float32; projectors and
    other weights of losses are left out. The rate that an epoch's last batch had is logged as
    `learning_rate`. With `steps_per_execution=N` it is set once for N batches, and with gradient
    accumulation before each batch, of which some take no step. In `fit` of another Keras model than
    a Distiller all that it trains counts.

    Args:
        multiple: What the rate is at a norm of 1, above 0. Defaults to 1.

    Raises:
        ValueError: If the multiple is not above 0; when training begins, if the optimizer's rate is
            a schedule or nothing is trained; in training, if the norm is 0 or not finite.

    Example:

    >>> import keras, keras_kd, numpy as np
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    >>> model.set_weights([np.array([[4.0]])])
    >>> model.compile("sgd", "mse")
    >>> callback = keras_kd.callbacks.WeightNormRate(0.5)
    >>> history = model.fit(np.ones((1, 1)), np.ones((1, 1)), callbacks=[callback], verbose=0)
    >>> history.history["learning_rate"]
    [0.125]
    """

    def __init__(self, multiple: float = 1.0) -> None:
        super().__init__()
        self.multiple = check_number("multiple", multiple, above=0.0)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Checks that there is a rate to set, and weights to set it by."""
        rate = getattr(self.model.optimizer, "learning_rate", None)
        if not isinstance(rate, keras.Variable):
            raise ValueError(
                "WeightNormRate sets the optimizer's learning rate, which must be a number and no "
                "schedule: keras.optimizers.SGD(0.1), for one. Received: optimizer="
                f"{type(self.model.optimizer).__name__} with a rate of type {type(rate).__name__}"
            )
        if not self._weights():
            raise ValueError(
                "Nothing is trained, so there is no norm to set the rate by: unfreeze a layer. "
                f"Received: '{self._trained().name}' without trainable weights"
            )

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets the batch's rate."""
        # Through `self.model`: on JAX the variables have their values only then, within an epoch.
        optimizer = self.model.optimizer
        squares = [ops.sum(ops.square(ops.cast(each, "float32"))) for each in self._weights()]
        norm = math.sqrt(float(ops.convert_to_numpy(sum(squares))))
        if not (norm > 0.0 and math.isfinite(norm)):
            raise ValueError(
                "The norm of the weights must be finite and above 0 to set a rate by. "
                f"Received: a norm of {norm} before batch {batch} of '{self._trained().name}'"
            )
        optimizer.learning_rate = self.multiple / norm

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Logs the rate of the last batch."""
        if logs is not None:
            rate = ops.convert_to_numpy(self.model.optimizer.learning_rate)
            logs["learning_rate"] = float(rate)

    def _trained(self):
        model = self.model
        return model.student if isinstance(model, Distiller) else model

    def _weights(self):
        return self._trained().trainable_weights
