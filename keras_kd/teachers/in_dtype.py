"""A teacher that computes in another precision."""

import keras

from keras_kd.features.dtype_clone import FLOATS, dtype_clone
from keras_kd.features.layer_tree import nearest


def in_dtype(teacher, dtype):
    """Returns a copy of `teacher` whose layers all have the dtype policy `dtype`.

    Args:
        teacher: A built Keras model, or None.
        dtype: The name of a policy, or None for the teacher itself.

    Raises:
        ValueError: If there is no such policy, no teacher, or the teacher cannot be copied.
    """
    if dtype is None:
        return teacher
    if isinstance(dtype, keras.DTypePolicy):
        dtype = dtype.name
    if dtype not in FLOATS:
        raise ValueError(
            f"`teacher_dtype` must be None or one of {list(FLOATS)}. "
            f"Received: teacher_dtype={dtype!r}.{nearest(dtype, FLOATS)}"
        )
    if teacher is None:
        raise ValueError(
            f"There is no teacher to run in another precision. Received: teacher_dtype={dtype!r}, "
            "teacher=None"
        )
    try:
        return dtype_clone(teacher, dtype)
    except Exception as error:
        raise ValueError(
            "`teacher_dtype` runs a copy of the teacher, and this one cannot be rebuilt from its "
            "config: give it (and its custom layers) a `get_config`, or build it in that precision "
            f"and leave teacher_dtype=None. Received: teacher='{teacher.name}' of class "
            f"{type(teacher).__name__}; the reason: {error}"
        ) from error


def follow_weights(copy, teacher):
    """Gives a copy of the teacher what the teacher has learnt or loaded since."""
    if copy is not teacher:
        copy.set_weights(teacher.get_weights())
