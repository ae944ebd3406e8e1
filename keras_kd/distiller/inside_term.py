"""A loss that looks inside both models, wired to what it compares."""

from keras_kd.distiller.feature_term import FeatureTerm
from keras_kd.distiller.gradient_term import GradientTerm


def inside_term(loss, student, teacher, inspect):
    """Returns the term of a feature loss, by what its formula compares.

    Args:
        loss: A `DistillationLoss` with `layers`, or one on gradients to the inputs.
        student: The student.
        teacher: The teacher, or None where its values travel with the data.
        inspect: `inspect(model, {tap: layer}) -> ModelSpec`.
    """
    kind = GradientTerm if loss.side == "input_gradient" else FeatureTerm
    return kind(loss, student, teacher, inspect)
