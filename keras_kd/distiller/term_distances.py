"""What the teacher's part of the equation is for one batch."""

import dataclasses

from keras_kd.distiller.carried_features import CarriedFeatures
from keras_kd.distiller.flaws import as_logged
from keras_kd.distiller.loss_sum import as_term, sum_of
from keras_kd.distiller.output_term import follow, one_weight
from keras_kd.features.own_inputs import own_inputs, told_whose
from keras_kd.features.preprocessing import check_preprocessed
from keras_kd.features.recording import Recording
from keras_kd.features.tap import mask_key
from keras_kd.features.undisturbed import modes_kept, without_graph
from keras_kd.losses.formula.keras_mask import both_real, keras_mask
from keras_kd.losses.formula.top_k import is_one_value


@dataclasses.dataclass(frozen=True)
class ForwardPass:
    """What student and teacher left behind when they ran on one batch.

    Attributes:
        student: The student's `Recording`.
        teacher: The teacher's, or what the data carry of its layers.
        inputs: What both models were given; None where the teacher had inputs of its own.
        teacher_outputs: What the teacher answered.
        context: What formulas may ask for by name: `labels`, `temperature`, `index`, `training`.
    """

    student: Recording
    teacher: Recording | CarriedFeatures
    inputs: object
    teacher_outputs: object
    context: dict


def teacher_losses(teacher, carried, recording, y_pred, sample_weight, *, terms, context):
    """Runs the teacher, or reads what the data carry of it, and compares.

    Args:
        teacher: The model to run, or None where its answers travel with the data.
        carried: The models' inputs and what travels beside them, by name.
        recording: What the student's layers gave.
        y_pred: The student's outputs.
        sample_weight: Weights in the structure of the outputs, or None.
        terms: A list of the losses on outputs, and one of those that look inside.
        context: What formulas may ask for by name, but for the index, which is carried.

    Returns:
        The weighted sum of the output losses, a list of `(feature term, distance)`, and what the
        logs hold of both, as `flaws.as_logged` gives it.
    """
    output_terms, feature_terms = terms
    if not output_terms and not feature_terms:
        return sum_of([]), [], (sum_of([]), [])
    answers, outputs = _answer(teacher, carried)
    context = {**context, "index": carried.get("index")}
    shared = None if "teacher_inputs" in carried else carried["inputs"]
    both = ForwardPass(recording, answers, shared, outputs, context)
    kd_loss = _output_distances(output_terms, both, y_pred, sample_weight)
    weight = one_weight(sample_weight)
    feature_loss = [(term, as_term(term.distance(both, weight))) for term in feature_terms]
    said = outputs if teacher is not None else [outputs, carried.get("teacher_features", ())]
    return kd_loss, feature_loss, as_logged(kd_loss, feature_loss, output_terms, said, y_pred)


def _answer(teacher, carried):
    """Returns the `Recording` or `CarriedFeatures` of the teacher's layers, and its outputs."""
    if teacher is None:
        features = CarriedFeatures(
            carried.get("teacher_features", {}), carried.get("teacher_masks", {})
        )
        return features, carried.get("teacher_outputs")
    inputs = own_inputs(carried.get("teacher_inputs", carried["inputs"]), teacher)
    check_preprocessed(teacher, inputs, "teacher")
    told = told_whose(inputs, teacher, "teacher")
    with told, Recording() as recording, modes_kept(teacher), without_graph():
        outputs = teacher(inputs, training=False)
    return recording, outputs


def _output_distances(output_terms, both, y_pred, sample_weight):
    """Returns the weighted sum of the output losses."""
    if output_terms and both.teacher_outputs is None:
        raise ValueError(
            "Without a teacher its outputs travel with the data: `x` must be a dict "
            "{'inputs': x, 'teacher_outputs': outputs}. "
            f"Received: x={type(both.inputs).__name__}"
        )
    context = {name: value for name, value in both.context.items() if name != "labels"}
    carried = isinstance(both.teacher, CarriedFeatures)
    one = carried and is_one_value(both.teacher_outputs)
    kd_loss = sum_of([])
    for term in output_terms:
        ours = follow(term.student_path, y_pred)
        mask = None
        if carried:
            mask = both.teacher.masks.get(mask_key(() if one else term.teacher_path))
        if mask is not None:  # one that travels is on no tensor
            context["mask"] = both_real(keras_mask(ours), mask)
        distance = term.distance(
            ours,
            follow(() if one else term.teacher_path, both.teacher_outputs),
            term.part_of(sample_weight),
            labels=term.part_of(both.context["labels"]),
            **context,
        )
        context.pop("mask", None)
        kd_loss = kd_loss + as_term(term.loss_weight) * as_term(distance)
    return kd_loss
