"""Checks of what a Distiller is made of."""

import contextlib
import os
import re
import warnings
from collections.abc import Mapping

import keras

from keras_kd.checks import how_to_load
from keras_kd.features.string_inputs import check_inputs_alike
from keras_kd.losses import DistillationLoss

_RESERVED = ("alpha", "kd_loss", "loss", "student_loss", "temperature")
_TORCH_MODULE = "torch.nn.modules.module.Module"
NO_BATCH = (
    "The data yield no batch, so there is nothing to train on or to evaluate: give at least one "
    "example, and a fresh data set where the last one is used up. Received: no batch"
)


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


def check_weighted(sample_weight_on) -> str:
    """Returns what sample weights weigh, or says what they can weigh."""
    if sample_weight_on not in ("all", "labels"):
        raise ValueError(
            "`sample_weight_on` must be 'all' or 'labels', the terms that class and sample weights "
            f"weigh. Received: sample_weight_on={sample_weight_on!r}"
        )
    return sample_weight_on


def check_name_is_free(loss, others):
    """Raises if a feature loss has the name of one of `others`, or of what `fit` logs anyway."""
    taken = [*_RESERVED, *(other.name for other in others)]
    if loss.name in taken:
        raise ValueError(
            "Two losses of one name cannot be told apart in the logs: give one of them "
            f"`name=`. Received: name={loss.name!r}. Taken: {taken}"
        )


def check_models(student, teacher):
    """Raises if the two are not built Keras models that share nothing that is trained."""
    for role, model in (("student", student), ("teacher", teacher)):
        if model is None and role == "teacher":
            continue
        if not isinstance(model, keras.Model):
            raise TypeError(
                f"`{role}` must be a keras.Model.{_way_in(role, model)} "
                f"Received: {role}={model!r} of type {type(model).__name__}"
            )
        if not model.built:
            raise ValueError(
                f"The {role} is not built, so its shapes are unknown: call it on a batch of data "
                f"or give it a keras.Input. Received: {role} '{model.name}', built=False"
            )
    if teacher is None:
        return
    check_apart(student, teacher)
    check_inputs_alike(student, teacher)


def check_apart(student, teacher):
    """Raises if training the student would change the teacher."""
    shared = {id(v) for v in student.trainable_variables} & {id(v) for v in teacher.variables}
    if teacher is student or shared:
        raise ValueError(
            "The teacher must be another model than the student: training one would change the "
            f"other. Received: student '{student.name}', teacher '{teacher.name}', "
            f"{len(shared)} shared variables"
        )


def check_unshared(student, teacher):
    """Raises if a config cannot describe the two because they share variables."""
    theirs = {id(variable) for variable in getattr(teacher, "variables", [])}
    shared = [variable.path for variable in student.variables if id(variable) in theirs]
    if shared:
        raise ValueError(
            "A file describes student and teacher as two models, which could not share weights "
            "when they are loaded: keep this Distiller's weights with save_weights('name.weights."
            "h5'), or give each model a copy of the layer. Received: shared weights "
            f"{shared[:3]}{' ...' * (len(shared) > 3)}"
        )


def _way_in(role, given):
    """Returns how something else than a model can be a teacher, if it can."""
    if isinstance(given, keras.layers.Layer):
        return " Put a layer into one: keras.Sequential([keras.Input(shape), layer])."
    if _is_torch_module(given):
        return (
            " On the PyTorch backend a module is a layer of one: keras.Sequential("
            f"[keras.Input(shape), keras.layers.TorchModuleWrapper({role})])."
        )
    if isinstance(given, str | os.PathLike):
        return how_to_load(os.fspath(given), role)
    if role == "teacher" and callable(given):
        return (
            " A function teaches through its answers: label the data with "
            "keras_kd.TeacherCache(path, function), and train Distiller(student) on these."
        )
    return ""


def check_scope(student):
    """Raises if the student was made under a `tf.distribute` strategy that is not in scope."""
    strategy = getattr(student, "distribute_strategy", None)
    if keras.backend.backend() != "tensorflow" or strategy is None:
        return
    import tensorflow as tf

    if tf.distribute.get_strategy() is not strategy:
        raise ValueError(
            "A Distiller is made in the scope of its student's strategy: `with strategy.scope(): "
            "distiller = keras_kd.Distiller(student, teacher)`. Received: student "
            f"'{student.name}' of a {type(strategy).__name__}, outside its scope"
        )


def warn_of_quantized(student):
    """Warns where a student's quantised kernels would stay as they are."""
    kept = [v.path for v in student.non_trainable_variables if "int" in str(v.dtype) and v.ndim > 1]
    if kept:
        warnings.warn(
            f"{len(kept)} kernels of the student are quantised and do not train, only what "
            "remains does: distil first and quantise afterwards, or add LoRA weights first. "
            f"Received: {kept[:3]}",
            stacklevel=3,
        )


def _is_torch_module(given):
    return any(f"{each.__module__}.{each.__name__}" == _TORCH_MODULE for each in type(given).mro())


def check_batch_size(losses, size):
    """Raises if batches of `size` are too small for one of the losses; None is an unknown size."""
    for loss in losses:
        if size is not None and size < loss.least_batch:
            raise ValueError(
                f"{type(loss).__name__} compares the samples of a batch with each other: a batch "
                f"of at least {loss.least_batch} is needed. Received: batch size {size}"
            )


def check_fitted_batches(losses, x=None, y=None, batch_size=None, **_):
    """Raises if `fit` was asked for batches that are too small, as far as its arguments tell."""
    del y
    if any(leaf.shape[0] == 0 for leaf in keras.tree.flatten(x) if getattr(leaf, "shape", None)):
        raise ValueError(NO_BATCH)
    if hasattr(x, "element_spec"):  # of a tf.data.Dataset
        shapes = [getattr(spec, "shape", None) for spec in keras.tree.flatten(x.element_spec)]
        sizes = [shape[0] for shape in shapes if getattr(shape, "rank", None)]
        batch_size = next(iter(sizes), None)
    check_batch_size(losses, batch_size)


def missing_labels(labels, outputs):
    """Returns the error of one set of labels for several outputs, or None if it is another.

    Args:
        labels: `y` as the step got it.
        outputs: What the student said.
    """
    if keras.tree.is_nested(labels) or not keras.tree.is_nested(outputs):
        return None
    named = isinstance(outputs, Mapping)
    has = f"outputs are {sorted(outputs)}" if named else f"outputs are {len(outputs)}"
    return ValueError(
        f"The student's {has}, and each that has a loss awaits labels of its own: y must be a "
        f"{'dict by these names' if named else 'list'}, in which the same labels may stand several "
        "times (which `for_each` of a keras_kd.scale.SeveralStudents does). Received: y of "
        f"{labels.shape}"
    )


def check_unlabelled(distiller, labels, training, alpha):
    """Raises if a step without the labels' loss has nothing to learn from or to evaluate.

    Args:
        distiller: The Distiller.
        labels: `y` as the step got it.
        training: Whether it is a training step.
        alpha: The weight of the labels as a number.
    """
    if distiller.losses:  # a student that brings its own loss, as Keras allows
        return
    received = (
        f"Received: y={'None' if labels is None else 'given'}, "
        f"compiled loss={distiller.loss!r}, alpha={alpha}"
    )
    if not training and not distiller.validate_with_teacher:
        raise ValueError(
            "There is nothing to evaluate: give labels and compile with a `loss`, or make the "
            f"Distiller with validate_with_teacher=True. {received}"
        )
    if training and alpha > 0:
        raise ValueError(
            "The student's own loss needs labels and a `loss` in `compile()`. Give both, or "
            f"set alpha=0 to learn from the teacher alone. {received}"
        )


@contextlib.contextmanager
def same_length():
    """Says what it means where labelled data have become longer or shorter."""
    try:
        yield
    except Exception as error:
        found = re.search(r"expected to contain (\d+) elements but contained ([^.\n]*)", str(error))
        if found is None:
            raise
        raise ValueError(
            "The data have changed their length since a keras_kd.TeacherCache labelled them, so "
            "that its answers belong to other examples: give the data that were labelled, or label "
            f"these into another folder. Received: {found[2]}, {found[1]} labelled"
        ) from error


@contextlib.contextmanager
def no_end_at_once():
    """Says what is wrong where data end before their first batch."""
    try:
        yield
    except StopIteration as error:
        raise ValueError(NO_BATCH) from error
