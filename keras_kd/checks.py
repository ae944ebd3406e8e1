"""Checks of numbers that users pass, with the error messages of the house."""

import inspect
import math
import numbers
import os
import pathlib
import re
from collections.abc import Iterable
from typing import Any

import numpy as np


def check_number(
    name: str,
    value,
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
) -> float:
    """Returns `value` as a float, or says what is wrong with it.

    Args:
        name: The argument's name, for the message.
        value: A Python or NumPy real number. Bools, strings and NaN are refused.
        above: The value must be greater than this.
        least: The value must be at least this.
        most: The value must be at most this.

    Returns:
        The value as a Python float.

    Raises:
        TypeError: If `value` is not a real number.
        ValueError: If `value` is NaN, infinite or outside the bounds.
    """
    wanted = _wanted(above, least, most)
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"`{name}` must be {wanted}. Received: {name}={value!r}")
    value = float(value)
    inside = (
        math.isfinite(value)
        and (above is None or value > above)
        and (least is None or value >= least)
        and (most is None or value <= most)
    )
    if not inside:
        raise ValueError(f"`{name}` must be {wanted}. Received: {name}={value!r}")
    return value


def check_whole_number(name: str, value, *, least: int) -> int:
    """Returns `value` as an int, or says that it is no whole number of at least `least`.

    Raises:
        TypeError: If `value` is not an integer.
        ValueError: If `value` is below `least`.
    """
    wanted = f"`{name}` must be a whole number of at least {least}. Received: {name}={value!r}"
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(wanted)
    if value < least:
        raise ValueError(wanted)
    return int(value)


def check_temperature(value, name: str = "temperature") -> float:
    """Returns `value` if it is a temperature: a finite number above 0."""
    return check_number(name, value, above=0.0)


def check_fraction(value, name: str = "alpha") -> float:
    """Returns `value` if it is a finite number from 0 to 1."""
    return check_number(name, value, least=0.0, most=1.0)


def check_same_shape(name, teacher_value, student_value):
    """Raises a ValueError if two values cannot be compared element by element."""
    teacher_shape, student_shape = tuple(teacher_value.shape), tuple(student_value.shape)
    fits = len(teacher_shape) == len(student_shape) and all(
        a is None or b is None or a == b for a, b in zip(teacher_shape, student_shape, strict=True)
    )
    if not fits:
        raise ValueError(
            f"{name}: teacher and student values must have one shape. "
            f"Received: teacher={teacher_shape}, student={student_shape}"
        )


def _wanted(above, least, most):
    bounds = []
    if above is not None:
        bounds.append(f"above {above:g}")
    if least is not None:
        bounds.append(f"at least {least:g}")
    if most is not None:
        bounds.append(f"at most {most:g}")
    return "a finite number" + (" " + " and ".join(bounds) if bounds else "")


def is_remote(path: str | os.PathLike) -> bool:
    """Returns whether a path is an address, such as `gs://bucket/file`."""
    return _REMOTE.match(os.fspath(path)) is not None


_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:[/:\\]")  # two letters at least: "C:/" is a drive


def local_path(name: str, path: str | os.PathLike) -> pathlib.Path:
    """Returns a path of this machine's file systems, or says that it is none.

    Raises:
        TypeError: If `path` is no path.
        ValueError: If it is an address, such as `gs://bucket/file`, which would become a folder, or
            lies below a file.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"`{name}` must be a path. Received: {name}={path!r}")
    if is_remote(path):
        raise ValueError(
            f"`{name}` must be a path of a mounted file system; write to one and copy the result, "
            f"`tf.io.gfile.copy` for one. Received: {name}={os.fspath(path)!r}"
        )
    path = pathlib.Path(path)
    above = next((parent for parent in path.parents if os.path.exists(parent)), path.parent)
    if os.path.exists(above) and not os.path.isdir(above):
        raise ValueError(
            f"`{name}` must lie in a folder. Received: {name}='{path}', where '{above}' is a file"
        )
    return path


def how_to_load(path: str, role: str) -> str:
    """Returns a sentence that says what makes a student or teacher of a file, if something does."""
    if path.endswith((".keras", ".h5", ".hdf5")):
        return f" Load the file: keras.saving.load_model({path!r})."
    if role == "student":
        return ""
    if path.endswith(".tflite"):
        return (
            " A LiteRT file teaches through its answers: label the data with "
            f"keras_kd.TeacherCache(folder, keras_kd.teachers.TFLiteTeacher({path!r}))."
        )
    return (
        " Load the file, keras.saving.load_model, or a SavedModel in a keras.layers.TFSMLayer, "
        "which a keras_kd.TeacherCache takes; it takes functions from batches to answers, "
        "too, such as a model of another library is."
    )


def check_takes(name: str, function: Any, wanted: str, counts: Iterable[int]) -> int | None:
    """Returns how many of `counts` arguments a function takes, None where it does not tell.

    Args:
        name: The argument that the function is.
        function: The function.
        wanted: What it should look like, for the message.
        counts: Numbers of positional arguments, the preferred first.

    Raises:
        TypeError: If it takes none of these.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a builtin that does not tell
        return None
    for count in counts:
        try:
            signature.bind(*range(count))
        except TypeError:
            continue
        return count
    raise TypeError(f"`{name}` must be a function {wanted}. Received: {name}{signature}")


def check_flag(name: str, value: Any, *, or_none: bool = False) -> Any:
    """Returns `value` as a bool, or None where that is allowed, or says that it is no flag.

    Raises:
        ValueError: If it is something else, such as 1 or "no", which Python takes for true.
    """
    if value is None and or_none:
        return None
    if not isinstance(value, bool | np.bool_):
        wanted = "True, False or None" if or_none else "True or False"
        raise ValueError(f"`{name}` must be {wanted}. Received: {name}={value!r}")
    return bool(value)
