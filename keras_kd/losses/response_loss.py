"""The base class of losses that compare outputs."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_kd.checks import check_flag, check_same_shape
from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.losses.formula.known_now import known_now
from keras_kd.losses.formula.top_k import (
    bare_probabilities,
    checked_top_k,
    dense_logits,
    refuse_top_k,
)
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class ResponseLoss(DistillationLoss):
    """A distance between class scores: the formula receives logits.

    A model that ends in softmax (sigmoid for multi-label losses) gives probabilities. Their
    logits are recovered, exactly where Keras kept them, else as the logarithm, which softmax
    takes back to the same distribution at any temperature.

    Alone or from data, a teacher's value may also be `{"probabilities": p}`, which says what it is.
    In place of its outputs a teacher may give top-k labels to losses on a softmax
    (`losses/formula/top_k.py`): `{"log_probabilities": (..., k), "indices": (..., k), "log_rest":
    (...)}`, for the distribution that has these k largest probabilities and spreads the remaining
    mass evenly over the other classes. The formula receives its logits, unless its class says
    `reads_top_k = True`.

    A logit of minus infinity, as of a masked class, is a probability of 0. Formulas that have no
    value there say so where values are known before a step runs.

    Args:
        teacher_from_logits: True if the teacher returns logits, False if probabilities. None (the
            default) lets the Distiller find out from the teacher's last layer; the loss used
            alone then takes logits.
        student_from_logits: Likewise for the student.
        **kwargs: `weight`, `layers`, `name`, `reduction`, `dtype` of `DistillationLoss`.
    """

    activation = "softmax"
    # Whether the formula has a value where a class is masked by a logit of minus infinity.
    takes_masked_classes = True
    # Whether the formula of this very class takes top-k labels as they are. A subclass may have
    # another formula: it must say so again.
    reads_top_k = False

    def __init__(
        self,
        *,
        teacher_from_logits: bool | None = None,
        student_from_logits: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.teacher_from_logits = check_flag(
            "teacher_from_logits", teacher_from_logits, or_none=True
        )
        self.student_from_logits = check_flag(
            "student_from_logits", student_from_logits, or_none=True
        )

    def prepare(
        self, teacher_value: Any, student_value: Tensor, context: dict[str, Any]
    ) -> tuple[Any, Any]:
        """Brings both values to logits of one shape, or the teacher's to checked top-k labels."""
        refuse_top_k(self.name, "student", student_value)
        if isinstance(student_value, dict):
            raise ValueError(
                f"{self.name} compares one output with one output: take it out of the dict. "
                f"Received: student={sorted(map(str, student_value))}"
            )
        student = self._logits(
            student_value, self.student_from_logits, context.get("student_from_logits")
        )
        teacher_value, is_probabilities = bare_probabilities(teacher_value)
        if isinstance(teacher_value, dict) and self.activation == "softmax":
            student = ops.convert_to_tensor(student, dtype=self.dtype)
            student = self._finite("student", student)
            labels = checked_top_k(self.name, teacher_value, student, self.dtype)
            as_they_are = vars(type(self)).get("reads_top_k", False)
            return labels if as_they_are else dense_logits(labels, student.shape[-1]), student
        refuse_top_k(self.name, "teacher", teacher_value)
        if is_probabilities and self.teacher_from_logits:
            raise ValueError(
                f"{self.name}: the teacher is declared to return logits, but its value says that "
                "it is probabilities. Received: teacher_from_logits=True, a dict of "
                "['probabilities']"
            )
        declared = False if is_probabilities else self.teacher_from_logits
        teacher = self._logits(teacher_value, declared, context.get("teacher_from_logits"))
        teacher, student = super().prepare(teacher, student, context)
        check_same_shape(self.name, teacher, student)
        return self._finite("teacher", teacher), self._finite("student", student)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "teacher_from_logits": self.teacher_from_logits,
            "student_from_logits": self.student_from_logits,
        }

    def _finite(self, role, logits):
        """Returns logits whose masked classes are no longer at minus infinity, but far enough."""
        if not self.takes_masked_classes:
            known = known_now(logits)
            if known is not None and np.isneginf(known.astype("float32")).any():
                raise ValueError(
                    f"{self.name} compares logits as numbers, so it has no value where a class is "
                    "masked by minus infinity: take KDLoss, or leave these classes out. "
                    f"Received: {role} logits with -inf"
                )
            return logits
        lowest = -6e4 if self.dtype == "float16" else -1e30
        return ops.maximum(logits, ops.convert_to_tensor(lowest, dtype=self.dtype))

    def _logits(self, value, declared, found):
        from_logits = found if declared is None else declared
        if from_logits is None or from_logits:
            return value
        kept = getattr(value, "_keras_logits", None)  # Keras' softmax and sigmoid leave it there
        if kept is not None:
            return kept
        return self.logits_of_probabilities(ops.convert_to_tensor(value, dtype=self.dtype))

    def logits_of_probabilities(self, probabilities: Tensor) -> Tensor:
        """Returns logits that the activation maps back to `probabilities`."""
        smallest = 1.2e-38  # float32's smallest normal number: log of it is finite
        log_p = ops.log(ops.maximum(probabilities, smallest))
        if self.activation == "softmax":
            return log_p
        return log_p - ops.log(ops.maximum(1.0 - probabilities, smallest))
