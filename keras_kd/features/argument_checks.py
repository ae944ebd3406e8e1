"""Checks of what a Distiller is made of."""

import contextlib

import keras

from keras_kd.losses import DistillationLoss


def check_feature_losses(losses) -> list:
    """Returns the feature losses as a list, or says which of them cannot be one."""
    losses = [losses] if isinstance(losses, DistillationLoss) else losses
    if not isinstance(losses, list | tuple):
        raise TypeError(
            "`feature_losses` must be a list of keras_kd.losses.DistillationLoss objects. "
            f"Received: feature_losses={losses!r}"
        )
    for loss in losses:
        if not isinstance(loss, DistillationLoss):
            raise TypeError(
                "`feature_losses` must hold keras_kd.losses.DistillationLoss objects. "
                f"Received: {loss!r}"
            )
        if loss.layers is None and loss.side != "input_gradient":
            raise ValueError(
                "A feature loss must say which layers it compares: "
                f"{type(loss).__name__}(layers={{student_layer: teacher_layer}}). "
                "Received: layers=None"
            )
    return list(losses)


def check_models(student, teacher):
    """Raises if the two are not built Keras models that share nothing that is trained."""
    for role, model in (("student", student), ("teacher", teacher)):
        if model is None and role == "teacher":
            continue
        if not isinstance(model, keras.Model):
            raise TypeError(
                f"`{role}` must be a keras.Model. Received: {role}={model!r} of type "
                f"{type(model).__name__}"
            )
        if not model.built:
            raise ValueError(
                f"The {role} is not built, so its shapes are unknown: call it on a batch of data "
                f"or give it a keras.Input. Received: {role} '{model.name}', built=False"
            )
    if teacher is None:
        return
    shared = {id(v) for v in student.trainable_variables} & {id(v) for v in teacher.variables}
    if teacher is student or shared:
        raise ValueError(
            "The teacher must be another model than the student: training one would change the "
            f"other. Received: student '{student.name}', teacher '{teacher.name}', "
            f"{len(shared)} shared variables"
        )


@contextlib.contextmanager
def no_end_at_once():
    """Says what is wrong where data end before their first batch."""
    try:
        yield
    except StopIteration as error:
        raise ValueError(
            "The data yield no batch, so there is nothing to train on or to evaluate: give at "
            "least one example, and a fresh data set where the last one is used up."
        ) from error
