"""A teacher whose weights follow the student's: the mean teacher."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Self

import keras
from keras import ops

from keras_kd.checks import check_flag, check_fraction
from keras_kd.features.dtype_clone import dtype_clone
from keras_kd.features.model_spec import input_spec
from keras_kd.features.nested_config import uncompiled_config, with_parts
from keras_kd.features.own_inputs import own_inputs
from keras_kd.features.preprocessing import has_preprocessor
from keras_kd.features.shared_preprocessor import SharedPreprocessor
from keras_kd.features.strategy_scope import strategy_scope
from keras_kd.features.undisturbed import without_graph

# What a float16 or bfloat16 weight moves by in a step is less than its rounding.
_AVERAGED_IN = {"float16": "mixed_float16", "bfloat16": "mixed_bfloat16"}


@keras.saving.register_keras_serializable(package="keras_kd")
class MovingAverage(SharedPreprocessor, keras.Model):
    """A copy of the student whose weights are a moving average of the student's.

    ```
    w_teacher <- m w_teacher + (1 - m) w_student      once after each training step

    m = momentum                          ramp_up=False
    m = min(momentum, 1 - 1 / (n + 1))    ramp_up=True, after step n = 1, 2, ...
    ```

    A Distiller has it follow its student in its own, compiled step, after the optimizer's update,
    so that the average always is of the weights that the student has, in `evaluate` and in files
    too. It answers in inference mode, without dropout. Weights of half precision are averaged in
    float32.

    Averaged are all weights that are real numbers, those of frozen layers and the moving statistics
    of BatchNormalization too; whole numbers, such as counters, are copied. (The authors' PyTorch
    code runs its teacher in training mode, on statistics of each batch.) With gradient accumulation
    it follows after every batch. Under `MirroredStrategy` each replica averages what it has: Keras
    keeps one set of moving statistics for each, unless BatchNormalization is synchronized.

    Args:
        student: The built `keras.Model` that the Distiller trains. It is copied, not changed.
        momentum: m, from 0 (the student itself, a step later) to 1 (the student at the start).
            Defaults to 0.999.
        ramp_up: Whether m begins at 1/2 and rises, as the authors have it: the first steps' weights
            are forgotten sooner. Defaults to False.
        name: The model's name.

    Attributes:
        model: The average as an ordinary model, to evaluate, save and export.
        momentum: A float32 variable, which callbacks change; numbers can be assigned too.

    Raises:
        TypeError: If the student is no Keras model.
        ValueError: If the momentum is not from 0 to 1 or the student is not built or cannot be
            copied; in a Distiller, if it is of another student, or `teacher_dtype` is set.

    Example:

    >>> import keras, keras_kd, numpy as np
    >>> student = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    >>> student.set_weights([np.array([[4.0]])])
    >>> teacher = keras_kd.teachers.MovingAverage(student, momentum=0.75)
    >>> student.set_weights([np.array([[8.0]])])
    >>> teacher.follow(student)
    >>> teacher.model.get_weights()
    [array([[5.]], dtype=float32)]

    Reference: Tarvainen, Valpola, "Mean teachers are better role models: Weight-averaged
    consistency targets improve semi-supervised deep learning results", NIPS 2017.
    """

    def __init__(
        self,
        student: keras.Model,
        momentum: float = 0.999,
        *,
        ramp_up: bool = False,
        name: str = "moving_average",
    ) -> None:
        _check_student(student)
        super().__init__(name=name, dtype=student.dtype_policy, autocast=False)
        self.ramp_up = check_flag("ramp_up", ramp_up)
        # Where Keras does not look: the student is no part of its teacher.
        self._of = types.SimpleNamespace(student=student)
        momentum = check_fraction(momentum, "momentum")
        with strategy_scope(student):
            self.model = _copied(student)
            self._momentum = _scalar(self, "momentum", momentum, "float32")
            self._steps = _scalar(self, "steps", 0, "int32")
        self.built = True

    def __setattr__(self, name: str, value: Any) -> None:
        # Keras would track a variable that is assigned, and not only read it.
        if name == "momentum" and (isinstance(value, keras.Variable) or ops.is_tensor(value)):
            value = ops.convert_to_numpy(value).item()
        super().__setattr__(name, value)

    @property
    def momentum(self) -> keras.Variable:
        """What the average keeps of itself in a step; numbers from 0 to 1 can be assigned."""
        return self._momentum

    @momentum.setter
    def momentum(self, value: Any) -> None:
        self._momentum.assign(check_fraction(value, "momentum"))

    @property
    def preprocessed_models(self) -> list[keras.Model]:
        """The average, which has the preprocessor of a student that is a task of KerasHub's."""
        return [self.model]

    @property
    def input(self) -> Any:
        """What the average takes, as `KerasTensor`s, or None where that is not known."""
        return input_spec(self.model)

    @property
    def inputs(self) -> list | None:
        """The same as a flat list, or None."""
        return None if self.input is None else keras.tree.flatten(self.input)

    def call(self, inputs: Any) -> Any:
        """Returns what the average answers."""
        return self.model(own_inputs(inputs, self.model), training=False)

    def follow(self, student: keras.Model) -> None:
        """Moves the average towards the weights that the student has, as a training step does.

        Args:
            student: The model that this is the average of.
        """
        self._steps.assign_add(1)
        momentum = ops.convert_to_tensor(self._momentum)
        if self.ramp_up:
            steps = ops.cast(self._steps, "float32")
            momentum = ops.minimum(momentum, 1.0 - 1.0 / (steps + 1.0))
        with without_graph():
            for average, weight in zip(self.model.weights, student.weights, strict=True):
                average.assign(_moved(average, weight, momentum))

    def check_follows(self, student: keras.Model) -> None:
        """Raises a ValueError if this is no average of that student."""
        known = self._of.student
        ours, theirs = (
            [tuple(weight.shape) for weight in model.weights] for model in (self.model, student)
        )
        if (known is not None and known is not student) or ours != theirs:
            whose = "a loaded student" if known is None else f"'{known.name}'"
            raise ValueError(
                "A moving average teaches the student that it is of: "
                "keras_kd.Distiller(student, keras_kd.teachers.MovingAverage(student)). Received: "
                f"student '{student.name}', teacher '{self.name}' of {whose}, another model"
            )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments; for the student stands its average."""
        return {
            "student": uncompiled_config(self.model),
            "momentum": float(ops.convert_to_numpy(self._momentum)),
            "ramp_up": self.ramp_up,
            "name": self.name,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        """Makes the average that `get_config` described, of a student that is to be told."""
        made = cls(**with_parts(config, ["student"], custom_objects))
        made._of.student = None
        return made


def _moved(average, weight, momentum):
    """Returns where an average moves to."""
    if "float" not in keras.backend.standardize_dtype(average.dtype):
        return weight
    # Of this form an average of equal values is that value, without rounding.
    return average + ops.cast(1.0 - momentum, average.dtype) * (weight - average)


def _scalar(layer, name, value, dtype):
    return layer.add_weight(
        shape=(),
        initializer=keras.initializers.Constant(value),
        dtype=dtype,
        trainable=False,
        autocast=False,
        aggregation="only_first_replica",
        name=name,
    )


def _check_student(student):
    if not isinstance(student, keras.Model):
        raise TypeError(
            "`student` must be the keras.Model that is trained. "
            f"Received: student={student!r} of type {type(student).__name__}"
        )
    if not student.built:
        raise ValueError(
            "The student is not built, so it has no weights to average: call it on a batch of data "
            f"or give it a keras.Input. Received: student '{student.name}', built=False"
        )


def _copied(student):
    """Returns the average at the start; it has no preprocessor but the student's very own."""
    preprocessor = student.preprocessor if has_preprocessor(student) else None
    try:
        if preprocessor is not None:
            student.preprocessor = None
        copy = dtype_clone(student, _AVERAGED_IN)
        if preprocessor is not None:
            copy.preprocessor = preprocessor
        return copy
    except Exception as error:
        raise ValueError(
            "The teacher begins as a copy of the student, and this one cannot be rebuilt from its "
            "config: give it (and its custom layers) a `get_config`. Received: student "
            f"'{student.name}' of class {type(student).__name__}; the reason: {error}"
        ) from error
    finally:
        if preprocessor is not None:
            student.preprocessor = preprocessor
