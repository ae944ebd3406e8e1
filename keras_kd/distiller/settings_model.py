"""What of a Distiller can be assigned after it was made, and what says that it cannot."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.checks import check_flag, check_fraction, check_temperature
from keras_kd.distiller.loss_term import add_scalar

# The constructor's arguments that wire the models together.
_FIXED = (
    "student",
    "teacher",
    "teacher_dtype",
    "kd_loss",
    "feature_losses",
    "sample_weight_on",
)


class SettingsModel(keras.Model):
    """A model whose settings may be assigned, with the checks of its constructor.

    Attributes:
        alpha, temperature: Float32 variables, which callbacks change in a running step.
        validate_with_teacher: Whether `evaluate` runs the teacher.
    """

    def make_settings(self, alpha: float, temperature: float, validate_with_teacher: bool) -> None:
        """Makes the variables, in the order in which files have them."""
        self._alpha = add_scalar(self, "alpha", check_fraction(alpha))
        self._temperature = add_scalar(self, "temperature", check_temperature(temperature))
        self._validates_with_teacher = check_flag("validate_with_teacher", validate_with_teacher)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIXED and self.__dict__.get("_wired"):
            raise AttributeError(
                f"`{name}` cannot change once a Distiller is made, since it is wired to it: make a "
                f"new one with {name}=... (a student keeps what it has learned). alpha, "
                "temperature and validate_with_teacher can be assigned; `attach` adds a feature "
                f"loss. Received: {name}={value!r}"
            )
        # Keras would track a variable that is assigned, and not only read it.
        super().__setattr__(name, _number(value) if name in ("alpha", "temperature") else value)

    def keep_wiring(self) -> None:
        """Refuses from now on to let what is wired together be assigned."""
        self.__dict__["_wired"] = True

    @property
    def alpha(self) -> keras.Variable:
        """The weight of the labels; numbers from 0 to 1 can be assigned."""
        return self._alpha

    @alpha.setter
    def alpha(self, value: Any) -> None:
        self._alpha.assign(check_fraction(value))

    @property
    def temperature(self) -> keras.Variable:
        """What softens both distributions; numbers above 0 can be assigned."""
        return self._temperature

    @temperature.setter
    def temperature(self, value: Any) -> None:
        self._temperature.assign(check_temperature(value))

    @property
    def validate_with_teacher(self) -> bool:
        """Whether `evaluate` runs the teacher and reports the full loss."""
        return self._validates_with_teacher

    @validate_with_teacher.setter
    def validate_with_teacher(self, value: bool) -> None:
        self._validates_with_teacher = check_flag("validate_with_teacher", value)
        self.test_function = None  # which was traced with the old value


def _number(value):
    """A variable's or a tensor's value, as `distiller.alpha *= 0.5` gives one."""
    if isinstance(value, keras.Variable) or ops.is_tensor(value):
        return ops.convert_to_numpy(value).item()
    return value
