"""The base class of losses that compare outputs."""

import keras
from keras import ops

from keras_kd.losses.checks import check_same_shape
from keras_kd.losses.distillation_loss import DistillationLoss


@keras.saving.register_keras_serializable(package="keras_kd")
class ResponseLoss(DistillationLoss):
    """A distance between class scores: the formula receives logits.

    A model that ends in softmax (sigmoid for multi-label losses) gives probabilities. Their
    logits are recovered, exactly where Keras kept them, else as the logarithm, which softmax
    takes back to the same distribution at any temperature.

    Args:
        teacher_from_logits: True if the teacher returns logits, False if probabilities. None (the
            default) lets the Distiller find out from the teacher's last layer; the loss used
            alone then takes logits.
        student_from_logits: Likewise for the student.
        **kwargs: `weight`, `layers`, `name`, `reduction`, `dtype` of `DistillationLoss`.
    """

    activation = "softmax"

    def __init__(self, *, teacher_from_logits=None, student_from_logits=None, **kwargs):
        super().__init__(**kwargs)
        self.teacher_from_logits = _check_flag("teacher_from_logits", teacher_from_logits)
        self.student_from_logits = _check_flag("student_from_logits", student_from_logits)

    def prepare(self, teacher_value, student_value, context):
        """Brings both values to logits of one shape."""
        teacher, student = super().prepare(
            self._logits(
                teacher_value, self.teacher_from_logits, context.get("teacher_from_logits")
            ),
            self._logits(
                student_value, self.student_from_logits, context.get("student_from_logits")
            ),
            context,
        )
        check_same_shape(self.name, teacher, student)
        return teacher, student

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "teacher_from_logits": self.teacher_from_logits,
            "student_from_logits": self.student_from_logits,
        }

    def _logits(self, value, declared, found):
        from_logits = found if declared is None else declared
        if from_logits is None or from_logits:
            return value
        kept = getattr(value, "_keras_logits", None)  # Keras' softmax and sigmoid leave it there
        if kept is not None:
            return kept
        return self.logits_of_probabilities(ops.convert_to_tensor(value, dtype=self.dtype))

    def logits_of_probabilities(self, probabilities):
        """Returns logits that the activation maps back to `probabilities`."""
        smallest = 1.2e-38  # float32's smallest normal number: log of it is finite
        log_p = ops.log(ops.maximum(probabilities, smallest))
        if self.activation == "softmax":
            return log_p
        return log_p - ops.log(ops.maximum(1.0 - probabilities, smallest))


def _check_flag(name, value):
    if value not in (None, True, False):
        raise ValueError(f"`{name}` must be True, False or None. Received: {name}={value!r}")
    return value
