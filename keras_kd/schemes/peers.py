"""Checks of students that are to teach each other."""

import collections

import keras

from keras_kd.checks import how_to_load
from keras_kd.distiller.argument_checks import check_scope, warn_of_quantized
from keras_kd.features.model_spec import input_spec
from keras_kd.features.shared_preprocessor import check_shared
from keras_kd.losses import DistillationLoss
from keras_kd.losses.response_loss import ResponseLoss

_WAYS = ("each", "mean")


def check_students(students, argument="students", logs=("loss", "mutual_loss")) -> list:
    """Returns models that train together as a list, or says which of them cannot be one.

    Args:
        students: The models.
        argument: What the caller's argument is called, for messages.
        logs: What is logged of each, under `<name>_<log>`.
    """
    if not isinstance(students, list | tuple) or len(students) < 2:
        raise ValueError(
            f"`{argument}` must be a list of two or more keras.Models, which learn together. "
            f"Received: {argument}={students!r}"
        )
    for student in students:
        check_model(student)
    names = [student.name for student in students]
    if len({id(student) for student in students}) < len(students):
        raise ValueError(
            "A model is in the list twice, and would learn from itself: give "
            f"keras.models.clone_model(model) a name of its own. Received: {argument}={names}"
        )
    _check_names(names, logs)
    check_shared(dict(zip(names, students, strict=True)), "A model of several learners")
    return list(students)


def check_model(model):
    """Raises if what is to learn is no built `keras.Model`."""
    if not isinstance(model, keras.Model):
        how = how_to_load(model, "student") if isinstance(model, str) else ""
        raise TypeError(f"A keras.Model was expected.{how} Received: {model!r}")
    if not model.built:
        raise ValueError(
            "The model is not built, so its shapes are unknown: call it on a batch of data or "
            f"give it a keras.Input. Received: model '{model.name}', built=False"
        )
    check_scope(model)
    warn_of_quantized(model)


def check_teaching(learn_from, kd_loss):
    """Raises if `learn_from` is no way to teach, or the loss cannot teach so."""
    if learn_from not in _WAYS:
        raise ValueError(
            f"`learn_from` must be one of {list(_WAYS)}. Received: learn_from={learn_from!r}"
        )
    check_output_loss(kd_loss)
    if learn_from == "mean" and not isinstance(kd_loss, ResponseLoss):
        raise ValueError(
            "learn_from='mean' is a mean of probabilities: take a loss on class scores, or "
            f"learn_from='each'. Received: kd_loss={type(kd_loss).__name__}"
        )


def check_output_loss(kd_loss):
    """Raises if a loss is none that compares two outputs by itself."""
    if not isinstance(kd_loss, DistillationLoss):
        raise TypeError(
            f"`kd_loss` must be a keras_kd.losses.DistillationLoss. Received: kd_loss={kd_loss!r}"
        )
    unfit = kd_loss.layers is not None or kd_loss.joint or kd_loss.side != "output"
    if unfit or "index" in kd_loss.asks or "part" in kd_loss.asks:
        raise ValueError(
            "`kd_loss` must compare outputs, without weights of its own, layers or the examples' "
            f"numbers, as KDLoss does. Received: kd_loss={type(kd_loss).__name__}"
        )
    if kd_loss.weight != 1.0:
        raise ValueError(
            "The model's own argument weighs what is taught: leave the loss' weight at 1. "
            f"Received: kd_loss={type(kd_loss).__name__}(weight={kd_loss.weight})"
        )


def check_rules(rules):
    """Raises if a student computes its loss or its metrics in a way of its own."""
    for each in rules:
        if each.computes_loss or each.computes_metrics:
            name = "compute_loss" if each.computes_loss else "compute_metrics"
            raise ValueError(
                f"A model has a `{name}` of its own, which a joint step would not run: put its "
                "rule into the loss and the metrics of `compile`, or distil it with a Distiller. "
                f"Received: model '{each.student.name}' of class {type(each.student).__name__}"
            )


def check_outputs(students, specs):
    """Raises if the students' outputs are not single, of one shape and of one kind."""
    for student, spec in zip(students, specs, strict=True):
        if keras.tree.is_nested(spec.outputs):
            raise ValueError(
                "A model must give one output, a tensor. Received: model "
                f"'{student.name}' with outputs {keras.tree.map_structure(_shape, spec.outputs)}"
            )
    shapes = {student.name: _shape(s.outputs) for student, s in zip(students, specs, strict=True)}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"The students must give outputs of one shape. Received: {shapes}")
    kinds = {student.name: s.kinds[0] for student, s in zip(students, specs, strict=True)}
    if len({kind for kind in kinds.values() if kind is not None}) > 1:
        raise ValueError(
            "The students must give outputs of one kind, all logits or all probabilities, since "
            f"one loss is for all. Received: {kinds}"
        )


def policy_of(students):
    """Returns the dtype policy whose loss scaling the students need."""
    policies = [student.dtype_policy for student in students]
    return next((each for each in policies if each.name == "mixed_float16"), policies[0])


def _check_names(names, each):
    if len(set(names)) < len(names):
        raise ValueError(
            "The models' names must differ, since the logs tell them apart by these: give each "
            f"a `name=` where it is made, or assign `model.name`. Received: names={names}"
        )
    logs = ["loss", *(f"{name}_{log}" for name in names for log in each)]
    twice = [log for log, count in collections.Counter(logs).items() if count > 1]
    if twice:
        raise ValueError(
            "The logs would have one name for two figures: rename a model. Received: "
            f"names={names}, logs={twice}"
        )


def check_inputs(students):
    """Raises if students that tell their inputs take other ones than the first."""
    specs = {student.name: input_spec(student) for student in students}
    known = {
        name: [(_shape(leaf)[1:], leaf.dtype) for leaf in keras.tree.flatten(spec)]
        for name, spec in specs.items()
        if spec is not None and not isinstance(spec, dict)
    }
    ranks = {name: [len(shape) for shape, _ in leaves] for name, leaves in known.items()}
    sizes = [[size for shape, _ in leaves for size in shape] for leaves in known.values()]
    alike = len({tuple(rank) for rank in ranks.values()}) < 2 and all(
        len({size for size in same if size is not None}) < 2 for same in zip(*sizes, strict=True)
    )
    if not alike:
        shapes = {name: [shape for shape, _ in leaves] for name, leaves in known.items()}
        raise ValueError(
            "The students must take the same inputs: put a layer that prepares them in front of "
            f"those that want others. Received: inputs of {shapes}"
        )


def _shape(tensor):
    return tuple(tensor.shape)
