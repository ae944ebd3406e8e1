"""Checks of stages before the first of them trains."""

import keras
import numpy as np

from keras_kd.distiller.carried_data import batch_in, unpack
from keras_kd.distiller.student_rules import StudentRules
from keras_kd.features.model_spec import input_spec
from keras_kd.schemes.fit_arguments import check_names
from keras_kd.schemes.stage import Stage


def checked(stages):
    """Returns the stages as a list, or says why they are none."""
    if not isinstance(stages, list | tuple) or not stages:
        raise ValueError(
            "`stages` must be a list of at least one keras_kd.schemes.Stage. "
            f"Received: stages={stages!r}"
        )
    for number, stage in enumerate(stages):
        if not isinstance(stage, Stage):
            raise TypeError(
                "`stages` must hold keras_kd.schemes.Stage objects. "
                f"Received: stages[{number}]={stage!r}"
            )
    check_names([stage.name for stage in stages], "stage")
    return list(stages)


def check_beside(stages, fit):
    """Raises a ValueError if a stage would get what belongs to the data of others."""
    given = ["sample_weight"] if fit.get("sample_weight") is not None else []
    given += ["validation_split"] if fit.get("validation_split") else []
    own = [stage.name for stage in stages if stage.x is not None]
    if given and own:
        raise ValueError(
            "`sample_weight` and `validation_split` belong to the `x` of `stages`, and not to that "
            "of a stage: let weights travel with the data, as a tf.data.Dataset of (x, y, weight), "
            f"and give `validation_data`. Received: {given}, stages with an `x` of their own: {own}"
        )


def check_learns(models, stage, settings, compiled, data):
    """Raises a ValueError if a stage has no data, or no term that could teach.

    Args:
        models: The student, and the teacher or None.
        stage: The stage.
        settings: Those of its Distiller.
        compiled: The keyword arguments of its `compile`.
        data: Its `x` and `y`.
    """
    (student, teacher), (x, _) = models, data
    if x is None:
        raise ValueError(
            "A stage has nothing to train on: give `x` to all stages or to this one. "
            f"Received: stage {stage.name!r} with x=None"
        )
    alpha = settings.get("alpha", 0.1)
    compares = any(each is not None for each in keras.tree.flatten(settings.get("kd_loss", True)))
    if not alpha and not compares and not settings.get("feature_losses"):
        raise ValueError(
            "A stage has nothing to learn from: give it labels (alpha above 0), a `kd_loss` or "
            f"`feature_losses`. Received: stage {stage.name!r} with alpha={alpha}, kd_loss=None"
        )
    if alpha:
        _check_labels(student, stage, alpha, compiled, data)
    if teacher is None and compares:
        _check_carried(student, stage, x)


def _check_labels(student, stage, alpha, compiled, data):
    """Raises if a stage is to learn from labels that it does not have, or has no loss for."""
    if _is_unlabelled(student, *data) and not student.losses:
        raise ValueError(
            "A stage without labels learns from the teacher alone: set its alpha=0. "
            f"Received: stage {stage.name!r} with alpha={alpha}, y=None"
        )
    brings_one = StudentRules(student).computes_loss or student.losses
    if compiled.get("loss") is None and not brings_one:
        raise ValueError(
            "A stage that learns from labels needs a `loss` in `compile`: give one, or set its "
            f"alpha=0. Received: stage {stage.name!r} with alpha={alpha}, loss=None"
        )


def _is_unlabelled(student, x, y):
    """Whether data, as far as they can be looked at, hold no labels."""
    if y is not None or getattr(student, "preprocessor", None) is not None:  # which may make them
        return False
    if hasattr(x, "element_spec"):  # of a tf.data.Dataset
        return not isinstance(x.element_spec, tuple) or len(x.element_spec) < 2
    return all(isinstance(each, np.ndarray) for each in keras.tree.flatten(x))


def _check_carried(student, stage, x):
    """Raises if no teacher runs and the data, as far as they can be looked at, stand for none."""
    arrays = isinstance(x, list | tuple) and all(hasattr(each, "shape") for each in x)
    batch, spec = x if arrays else batch_in(x), input_spec(student)
    names = set(spec) if isinstance(spec, dict) else set()
    if batch is None or "teacher_outputs" in unpack(batch, names, has_teacher=False):
        return
    raise ValueError(
        "Without a teacher its outputs travel with the data: `x` must be a dict "
        "{'inputs': x, 'teacher_outputs': outputs}; or let the stage have kd_loss=None. "
        f"Received: stage {stage.name!r} with teacher=None, x of type {type(x).__name__}"
    )
