"""Whether a user's student can be trained."""

import keras_kd
from keras_kd.demo.new_weights import is_trained


def check_student(nets):
    """Raises if a user's student can be neither made anew nor distilled.

    Args:
        nets: The run's `Nets`, with an own student.

    Returns:
        A sentence where the file's weights are trained and would be left, or None.

    Raises:
        TypeError, ValueError: If the student cannot be trained.
    """
    own = nets.own_student
    student = nets.student()
    teacher = nets.own_teacher
    keras_kd.Distiller(
        student,
        kd_loss=keras_kd.losses.KDLoss(student_from_logits=own.from_logits),
        teacher=None if teacher is None else teacher.model,
    )
    if not student.trainable_variables:
        raise ValueError(
            "A student with weights that train was expected: set `trainable` of its layers, and "
            f"save it again. Received: --student {own.path}, all frozen"
        )
    if nets.keep_weights or not is_trained(own.model):
        return None
    return (
        f"{own.path} holds trained weights, and each seed starts from new ones: --keep-weights "
        "starts from the file's."
    )
