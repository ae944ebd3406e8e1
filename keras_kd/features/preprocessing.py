"""KerasHub's tasks, which bring a preprocessor that their call does not run.

What is no batch of a task's own inputs by name is raw: the task's `predict`, `evaluate` and `fit`
send it through the preprocessor, and so does every door here. A model of one input that is not by
name, as image classifiers are, gets raw data always: without a preprocessor
(`task.preprocessor = None`) it takes what is preprocessed.
"""

import keras
import numpy as np

from keras_kd.features.string_inputs import as_arrays, check_strings, is_string


def has_preprocessor(model) -> bool:
    """Whether a model is a task that has a preprocessor."""
    return hasattr(model, "preprocess_samples") and (
        getattr(model, "preprocessor", None) is not None
    )


def takes_raw(model, x) -> bool:
    """Whether a batch has to go through a model's preprocessor before the model is called."""
    if not has_preprocessor(model):
        return False
    wanted = input_names(model)
    return not (wanted is not None and isinstance(x, dict) and set(wanted) <= set(x))


def preprocessed(model, x):
    """Returns a batch as the model's call takes it."""
    if not takes_raw(model, x):
        return x
    return keras.utils.unpack_x_y_sample_weight(model.preprocess_samples(_texts(x)))[0]


def check_repeats(model, x):
    """Raises a ValueError if a model's preprocessor makes another batch of the same each time."""
    if not takes_raw(model, x):
        return
    first, again = (
        [np.asarray(keras.ops.convert_to_numpy(leaf)) for leaf in keras.tree.flatten(each)]
        for each in (preprocessed(model, x), preprocessed(model, x))
    )
    if not all(np.array_equal(*pair) for pair in zip(first, again, strict=True)):
        raise ValueError(
            "A preprocessor that draws random numbers gives teacher and student other inputs: let "
            "both have one, `teacher.preprocessor = student.preprocessor`, beside a live teacher; "
            "for a TeacherCache preprocess the data once and for all. Received: "
            f"{type(model.preprocessor).__name__} of '{model.name}'"
        )


def check_has_none(model, where):
    """Raises a ValueError if a model is a task whose preprocessor would not be run.

    Args:
        model: A model.
        where: What runs it, for the message.
    """
    if has_preprocessor(model):
        raise ValueError(
            f"{where} does not run a task's preprocessor: preprocess the data, "
            "`x = task.preprocessor(x)`, and set `task.preprocessor = None`. Received: "
            f"'{model.name}' with a {type(model.preprocessor).__name__}"
        )


def without_preprocessor(model):
    """Returns what a task's call is, as a model of the same layers; other models as they are."""
    if not has_preprocessor(model) or not getattr(model, "inputs", None):
        return model
    return keras.Model(model.input, model.output, name=model.name)


def check_preprocessed(model, x, role):
    """Raises a ValueError if a task is called by name on what its preprocessor has not seen."""
    wanted = input_names(model)
    if wanted is None or not takes_raw(model, x):
        return
    raise ValueError(
        f"The {role} is a task with a preprocessor, {type(model.preprocessor).__name__}, which "
        f"`fit`, `evaluate` and `predict` run, and a call does not: call it on "
        f"`{role}.preprocessor(x)`. Received: {_shown(x)}; '{model.name}' is called on "
        f"{sorted(wanted)}"
    )


class Preprocessing:
    """What makes of a raw batch one that student and teacher can be called on.

    Args:
        student: The student.
        teacher: The teacher, or None.
        unpack: `unpack(x)` gives what travels in `x`, by name; the models' under `"inputs"`.

    Attributes:
        is_needed: Whether one of the models brings a preprocessor.
        are_two: Whether each brings another one, which must make the same of the same batch.
    """

    def __init__(self, student, teacher, unpack):
        self.student, self.teacher, self._unpack = student, teacher, unpack
        found = [task.preprocessor for task in (student, teacher) if has_preprocessor(task)]
        self.is_needed, self.are_two = bool(found), len({id(each) for each in found}) > 1

    def is_raw(self, x):
        """Whether a batch, or its specification, has to be preprocessed for one of the models."""
        carried = self._unpack(x)
        inputs = carried["inputs"]
        theirs = carried.get("teacher_inputs", inputs)
        return takes_raw(self.student, inputs) or takes_raw(self.teacher, theirs)

    def __call__(self, x, y=None, sample_weight=None):
        """Returns `(x, y, sample_weight)` for a step; a preprocessor may make the last two.

        Raises:
            ValueError: If it cannot be known whether the teacher takes raw data.
        """
        x = as_arrays(x)
        if not self.is_raw(x):
            return x, y, sample_weight
        carried = dict(self._unpack(x))
        raw = carried["inputs"]
        if takes_raw(self.student, raw):
            found = self.student.preprocess_samples(_texts(raw), y, sample_weight)
            carried["inputs"], y, sample_weight = keras.utils.unpack_x_y_sample_weight(found)
        if self.teacher is not None:
            theirs = self._for_teacher(carried.pop("teacher_inputs", raw), raw, carried["inputs"])
            if theirs is not carried["inputs"]:
                carried["teacher_inputs"] = theirs
        check_strings(carried["inputs"], self.student, "student")
        if set(carried) == {"inputs"}:
            return carried["inputs"], y, sample_weight
        return carried, y, sample_weight

    def check_repeats(self, x):
        """Raises if a raw batch is another one each time that a preprocessor sees it."""
        raw = self._unpack(as_arrays(x))["inputs"]
        for task in (self.student, self.teacher):
            check_repeats(task, raw)

    def _for_teacher(self, given, raw, prepared):
        """Returns what the teacher is to be called on."""
        if has_preprocessor(self.teacher):
            same = getattr(self.student, "preprocessor", None) is self.teacher.preprocessor
            return prepared if same and given is raw else preprocessed(self.teacher, given)
        if given is not raw or prepared is raw:  # of its own, or what the student takes, too
            return given
        if hasattr(self.teacher, "check_preprocessors"):  # a model of tasks
            self.teacher.check_preprocessors()
        wanted = input_names(self.teacher)
        if wanted is not None and isinstance(prepared, dict) and set(wanted) <= set(prepared):
            return prepared
        cuts_strings = [
            is_string(leaf.dtype) for leaf in getattr(self.teacher, "inputs", None) or []
        ]
        if cuts_strings and _are_strings(raw):
            return raw if all(cuts_strings) else prepared
        raise ValueError(
            "The student is a task with a preprocessor and the teacher is not, so that it may want "
            "raw or preprocessed inputs: say which, x = {'inputs': x, 'teacher_inputs': x}; or "
            "preprocess the data for both and set `student.preprocessor = None`. "
            f"Received: {_shown(raw)}"
        )


def input_names(model):
    """Returns a model's inputs by name, or None if it takes them otherwise."""
    wanted = getattr(model, "input", None) if getattr(model, "inputs", None) else None
    return wanted if isinstance(wanted, dict) else None


def _are_strings(x):
    return all(_is_text(leaf) for leaf in keras.tree.flatten(x))


def _is_text(leaf):
    dtype = getattr(leaf, "dtype", None)
    return dtype is not None and (is_string(dtype) or dtype == np.dtype(object))


def _texts(x):
    """Returns arrays of strings as lists, which every tokenizer takes on every backend."""

    def decoded(leaf):
        if not isinstance(leaf, np.ndarray) or not _is_text(leaf):
            return leaf
        return [each.decode() if isinstance(each, bytes) else each for each in leaf.tolist()]

    return keras.tree.map_structure(decoded, x)


def _shown(x):
    if isinstance(x, dict):
        return f"inputs {sorted(x)}"
    return f"inputs of shape {keras.tree.map_structure(lambda v: getattr(v, 'shape', None), x)}"
