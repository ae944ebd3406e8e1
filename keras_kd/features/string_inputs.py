"""Strings where numbers are wanted, and the other way round."""

import keras
import numpy as np


def check_strings(given, model, role: str):
    """Raises if a model of token ids is given strings, or a model of strings numbers.

    Models that take both, and those that do not tell the dtypes of their inputs, are left to Keras.

    Args:
        given: What goes in: a nest of tensors or of their specifications.
        model: The model, or what else stands for a teacher.
        role: `"student"` or `"teacher"`, for messages.

    Raises:
        ValueError: If none of what is given is of the kind that all of the model's inputs are.
    """
    wanted, given = _inputs(model), keras.tree.flatten(given)
    if not wanted or not given or not all(hasattr(leaf, "dtype") for leaf in given):
        return
    strings, wants = [{is_string(leaf.dtype) for leaf in leaves} for leaves in (given, wanted)]
    received = f"Received: {_described(given)}. '{model.name}' takes {_described(wanted)}"
    if wants == {False} and strings == {True}:
        raise ValueError(
            f"The {role} takes numbers, such as token ids, and was given strings: cut them in the "
            "data (`dataset.map`), or put a layer that does in front of the model, such as "
            f"keras.layers.TextVectorization. {received}"
        )
    if wants == {True} and strings == {False}:
        raise ValueError(
            f"The {role} cuts strings itself and was given numbers: give it raw strings. {received}"
        )


def check_inputs_alike(student, teacher):
    """Raises if of two models that are given the same input one takes strings, the other numbers.

    Models with inputs by name are left to Keras: the same dict may hold both.
    """
    ours, theirs = _inputs(student), _inputs(teacher)
    if len(ours) != 1 or len(theirs) != 1 or is_string(ours[0].dtype) == is_string(theirs[0].dtype):
        return
    raise ValueError(
        "Teacher and student are given the same input, so both must take strings or both token "
        "ids: put the layer that cuts strings in front of the other one, too, or keep the "
        "teacher's answers in a keras_kd.TeacherCache and train Distiller(student) on these. "
        f"Received: student '{student.name}' of {_described(ours)}, teacher '{teacher.name}' of "
        f"{_described(theirs)}"
    )


def as_arrays(data):
    """Returns data with each list of strings as an array of them."""
    if isinstance(data, dict):
        return {name: as_arrays(part) for name, part in data.items()}
    if isinstance(data, list | tuple) and data:
        if isinstance(data[0], str | bytes):
            return np.asarray(data)
        parts = [as_arrays(part) for part in data]
        return tuple(parts) if isinstance(data, tuple) else parts
    return data


def is_string(dtype) -> bool:
    """Whether a dtype of Keras, TensorFlow or NumPy is one of strings."""
    return getattr(dtype, "kind", None) in ("S", "U") or "string" in str(dtype)


def _inputs(model):
    return list(getattr(model, "inputs", None) or [])


def _described(leaves):
    return ", ".join(f"{_name(leaf.dtype)} of shape {tuple(leaf.shape)}" for leaf in leaves)


def _name(dtype):
    return "string" if is_string(dtype) else getattr(dtype, "name", dtype)
