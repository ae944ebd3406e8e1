"""What the teacher's part of the equation is for one batch."""

from keras import ops

from keras_kd.distiller.carried_features import CarriedFeatures
from keras_kd.distiller.output_term import follow, one_weight
from keras_kd.features.own_inputs import own_inputs
from keras_kd.features.recording import Recording
from keras_kd.losses.formula.top_k import is_one_value


def answer(teacher, carried):
    """Returns what the teacher's layers and its outputs say of a batch.

    Args:
        teacher: The model to run, or None where the answer travels with the data.
        carried: The models' inputs and what travels beside them, by name.

    Returns:
        A `Recording` or `CarriedFeatures`, and the outputs.
    """
    if teacher is None:
        features = CarriedFeatures(carried.get("teacher_features", {}))
        return features, carried.get("teacher_outputs")
    with Recording() as recording:
        outputs = teacher(own_inputs(carried["inputs"], teacher), training=False)
    return recording, outputs


def term_distances(output_terms, feature_terms, step, y_pred, sample_weight):
    """Compares what the two models left behind.

    Args:
        output_terms: The losses on outputs.
        feature_terms: The losses that look inside.
        step: The `Step`, whose context holds the labels.
        y_pred: The student's outputs.
        sample_weight: Weights in the structure of the outputs, or None.

    Returns:
        The weighted sum of the output losses and a list of `(feature term, distance)`.
    """
    if output_terms and step.teacher_outputs is None:
        raise ValueError(
            "Without a teacher its outputs travel with the data: `x` must be a dict "
            "{'inputs': x, 'teacher_outputs': outputs}. "
            f"Received: x={type(step.inputs).__name__}"
        )
    context = {name: value for name, value in step.context.items() if name != "labels"}
    carried = isinstance(step.teacher, CarriedFeatures)
    one = carried and is_one_value(step.teacher_outputs)
    kd_loss = ops.zeros(())
    for term in output_terms:
        distance = term.distance(
            follow(term.student_path, y_pred),
            follow(() if one else term.teacher_path, step.teacher_outputs),
            term.part_of(sample_weight),
            labels=term.part_of(step.context["labels"]),
            **context,
        )
        kd_loss = kd_loss + term.loss_weight * distance
    weight = one_weight(sample_weight)
    return kd_loss, [(term, term.distance(step, weight)) for term in feature_terms]
