"""From what a teacher says to what its student is told."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_whole_number
from keras_kd.typing import Shape, Tensor

KINDS = ("temperature", "vector", "matrix", "net")
# What a class' log-probability counts as at the least: that of float32's smallest normal number.
_LEAST = math.log(1.2e-38)


@keras.saving.register_keras_serializable(package="keras_kd")
class OutputMapping(keras.layers.Layer):
    """Maps a distribution over classes to another one over the same classes, as it was taught.

    With l the logarithm of what the teacher says, the mapping's logits are

    ```
    "temperature":  l / T                            one number: softer or harder
    "vector":       w * l + b                        two numbers a class
    "matrix":       l + l W + b                      C^2 + C numbers
    "net":          l + tanh(l A + a) V + v          a residual net
    ```

    All begin as the identity. `fit_mapping` teaches them on held-out labels, `losses.MappedKDLoss`
    teaches a student what they give. T stays above 0. A log-probability below that of float32's
    smallest number counts as that, and a class that is masked stays so.

    The published scalings are of logits. These are of log-probabilities, as in Dirichlet
    calibration: then a teacher that ends in softmax, the same teacher without it, and its labels
    in a cache are mapped to the same.

    Args:
        kind: `"temperature"`, `"vector"`, `"matrix"` or `"net"`.
        classes: The number of classes C, at least 2.
        hidden: The width of the net. Defaults to 32; of no meaning for the others.
        name: The layer's name.
        trainable: As of any Keras layer.

    Call arguments: logits or log-probabilities (not probabilities) `(..., C)`; logits `(..., C)`
    of float32 or wider.

    Raises:
        TypeError, ValueError: If an argument is wrong, or what is mapped has another number of
            classes.

    Example:

    >>> import numpy as np, keras_kd
    >>> mapping = keras_kd.teachers.OutputMapping("temperature", classes=2)
    >>> mapping.set_weights([np.log(2.0)])  # its logarithm is what is learned
    >>> softer = mapping(np.log([[0.8, 0.2]]))
    >>> (np.exp(softer) / np.exp(softer).sum()).round(3).tolist()  # sqrt 0.8 to sqrt 0.2 is 2 to 1
    [[0.667, 0.333]]

    References: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017
    (temperature, vector and matrix scaling); Kull et al., "Beyond Temperature Scaling: Obtaining
    Well-Calibrated Multi-Class Probabilities with Dirichlet Calibration", NeurIPS 2019 (a linear
    map of log-probabilities).
    """

    gives_logits = True  # where a model ends in it

    def __init__(
        self,
        kind: str,
        classes: int,
        *,
        hidden: int = 32,
        name: str = "output_mapping",
        trainable: bool = True,
    ) -> None:
        # In half precision more would be lost than a calibration moves.
        super().__init__(name=name, trainable=trainable, dtype="float32", autocast=False)
        if kind not in KINDS:
            raise ValueError(f"`kind` must be one of {list(KINDS)}. Received: kind={kind!r}")
        self.kind = kind
        self.classes = check_whole_number("classes", classes, least=2)
        self.hidden = check_whole_number("hidden", hidden, least=1)
        self.supports_masking = True
        self.build((None, self.classes))

    def build(self, input_shape: Shape) -> None:
        """Makes the weights, which begin as the identity."""
        if self.weights:  # Keras builds again what it loads
            return
        classes, hidden = self.classes, self.hidden
        if self.kind == "temperature":
            self.log_temperature = self._weight("log_temperature", ())
        elif self.kind == "vector":
            self.scale = self._weight("scale", (classes,), "ones")
        elif self.kind == "matrix":
            self.kernel = self._weight("kernel", (classes, classes))
        else:
            self.hidden_kernel = self._weight("hidden_kernel", (classes, hidden), "glorot_uniform")
            self.hidden_bias = self._weight("hidden_bias", (hidden,))
            self.kernel = self._weight("kernel", (hidden, classes))
        if self.kind != "temperature":
            self.bias = self._weight("bias", (classes,))
        self.built = True

    @property
    def temperature(self) -> float:
        """T, of a mapping of that kind."""
        if self.kind != "temperature":
            raise ValueError(
                "A mapping of one number has a temperature. "
                f"Received: kind={self.kind!r}. Available: get_weights()"
            )
        return math.exp(float(ops.convert_to_numpy(self.log_temperature)))

    def call(self, logits: Tensor) -> Tensor:
        """Returns the logits of the mapped distributions."""
        logits = ops.convert_to_tensor(logits)
        if logits.shape[-1] != self.classes:
            raise ValueError(
                f"'{self.name}' maps distributions over {self.classes} classes, the last axis. "
                f"Received: logits of shape {tuple(logits.shape)}"
            )
        dtype = keras.backend.standardize_dtype(logits.dtype)
        logits = logits if dtype == "float64" else ops.cast(logits, "float32")
        log_p = ops.log_softmax(logits, axis=-1)
        return getattr(self, f"_by_{self.kind}")(log_p)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "kind": self.kind,
            "classes": self.classes,
            "hidden": self.hidden,
            "name": self.name,
            "trainable": self.trainable,
        }

    # What is added is 0 at the identity, so that this is exact, and what is masked stays where it
    # is: no other class hears of it.

    def _by_temperature(self, log_p):
        return log_p * ops.exp(-_like(self.log_temperature, log_p))

    def _by_vector(self, log_p):
        change = (_like(self.scale, log_p) - 1.0) * ops.maximum(log_p, _LEAST)
        return log_p + change + _like(self.bias, log_p)

    def _by_matrix(self, log_p):
        change = ops.matmul(ops.maximum(log_p, _LEAST), _like(self.kernel, log_p))
        return log_p + change + _like(self.bias, log_p)

    def _by_net(self, log_p):
        hidden = ops.matmul(ops.maximum(log_p, _LEAST), _like(self.hidden_kernel, log_p))
        hidden = ops.tanh(hidden + _like(self.hidden_bias, log_p))
        return log_p + ops.matmul(hidden, _like(self.kernel, log_p)) + _like(self.bias, log_p)

    def _weight(self, name, shape, initializer="zeros"):
        return self.add_weight(shape=shape, initializer=initializer, name=name)


def _like(weight, value):
    return ops.convert_to_tensor(weight, dtype=value.dtype)
