"""Hinton's distillation loss to a teacher whose outputs are mapped first."""

from __future__ import annotations

from typing import Any, Self

import keras
import numpy as np
from keras import ops

from keras_kd.losses.kd_loss import KDLoss
from keras_kd.typing import Shape, Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class MappedKDLoss(KDLoss):
    """Hinton's loss to what a mapping makes of the teacher's outputs.

    ```
    T^2 * KL(softmax(m(z_t) / T) || softmax(z_s / T))
    ```

    m is a layer from logits to logits of the same classes, such as a `teachers.OutputMapping` that
    `teachers.fit_mapping` has taught on held-out labels. The loss works with a copy of it, as it is
    when a Distiller is made (alone: at the first call); the student's training leaves the copy as
    it is, and `callbacks.MappingMonitor` may go on teaching it. It is saved with the Distiller, as
    `distiller.output_terms[0].part`; the layer that was given is never changed.

    Args:
        mapping: A built `keras.layers.Layer` that Keras can save.
        temperature: T. None (the default) is the Distiller's, 4.0 when the loss is used alone.
        **kwargs: As in `KDLoss`.

    Call arguments: logits of shape `(..., C)` from teacher and student, or top-k labels from the
    teacher; one value each `(...)`.

    Raises:
        TypeError: If the mapping is no built layer.
        ValueError: If it does not map scores of the teacher's number of classes to as many, when
            a Distiller is made; or as in `KDLoss`.

    Example:

    >>> import numpy as np, keras_kd
    >>> mapping = keras_kd.teachers.OutputMapping("temperature", classes=2)
    >>> mapping.set_weights([np.log(2.0)])  # its logarithm is what is learned
    >>> loss = keras_kd.losses.MappedKDLoss(mapping, temperature=1.0)
    >>> teacher, student = np.array([[0.0, 2.0 * np.log(3.0)]]), np.array([[0.0, 0.0]])
    >>> round(float(loss(teacher, student)), 4)
    0.1308

    References: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015; Guo,
    Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
    """

    def __init__(
        self, mapping: keras.layers.Layer, *, temperature: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(temperature, **kwargs)
        if not isinstance(mapping, keras.layers.Layer) or not mapping.built:
            built = f", built={mapping.built}" if isinstance(mapping, keras.layers.Layer) else ""
            raise TypeError(
                "`mapping` must be a built keras layer from logits to logits, such as "
                "keras_kd.teachers.OutputMapping('temperature', classes). "
                f"Received: mapping={mapping!r}{built}"
            )
        self.mapping = mapping

    def make_part(
        self, teacher_shape: Shape, student_shape: Shape, teacher_layer: Any = None
    ) -> keras.layers.Layer | None:
        """Makes a copy of the mapping, which training leaves alone."""
        del student_shape, teacher_layer
        part = copy_of(self.mapping)
        part.trainable = False
        _check_classes(self.name, part, teacher_shape[-1])
        return part

    def call(  # type: ignore[override]  # what maps comes beside the temperature
        self,
        teacher_value: Tensor,
        student_value: Tensor,
        part: keras.layers.Layer,
        temperature: Tensor | float | None = None,
    ) -> Tensor:
        """Returns the softened KL divergence over the last axis."""
        # A layer may compute in another dtype, and what it gives must not be differentiated.
        mapped = ops.cast(ops.stop_gradient(part(teacher_value)), teacher_value.dtype)
        return super().call(mapped, student_value, temperature)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, and the mapping's weights."""
        return {
            **super().get_config(),
            "mapping": keras.saving.serialize_keras_object(self.mapping),
            # A layer's config holds none: it would come back as the identity.
            "mapping_weights": [weight.tolist() for weight in self.mapping.get_weights()],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Makes the loss that `get_config` described."""
        config = dict(config)
        weights = config.pop("mapping_weights")
        if isinstance(config["mapping"], dict):
            config["mapping"] = keras.saving.deserialize_keras_object(config["mapping"])
        made = super().from_config(config)
        _set_weights(made.mapping, weights)
        return made


def copy_of(mapping: keras.layers.Layer) -> keras.layers.Layer:
    """Returns another layer with the same weights."""
    made = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(mapping))
    _set_weights(made, mapping.get_weights())
    return made


def _set_weights(layer, weights):
    layer.set_weights([np.asarray(weight) for weight in weights])


def _check_classes(name, part, classes):
    """Raises a ValueError if a layer does not map scores of so many classes to as many."""
    wanted = f"{name}: the mapping must take the teacher's scores of {classes} classes and give as"
    received = f"Received: mapping '{part.name}' of class {type(part).__name__}"
    own = getattr(part, "classes", classes)
    if own != classes:
        raise ValueError(f"{wanted} many. {received}, which takes {own}")
    try:
        given = part(keras.KerasTensor((2, classes), "float32"))
    except Exception as error:  # whatever a layer raises
        raise ValueError(f"{wanted} many. {received}, which says: {error}") from error
    shape = getattr(given, "shape", None)
    if shape is None or tuple(shape) != (2, classes):
        raise ValueError(f"{wanted} many. {received}, which makes {shape} of {(2, classes)}")
