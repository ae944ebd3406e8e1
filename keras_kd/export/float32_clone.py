"""A student in single precision, for the runtimes that cannot run anything else."""

import keras

from keras_kd.features.dtype_clone import FLOATS, dtype_clone
from keras_kd.features.nested_layers import all_layers

_OTHER = tuple(policy for policy in FLOATS if policy != "float32")


def is_float32(student: keras.Model) -> bool:
    """Whether every layer of a student computes in float32 and holds float32 weights."""
    return all(
        layer.compute_dtype not in _OTHER and layer.variable_dtype not in _OTHER
        for layer in all_layers(student)
    )


def float32_clone(student: keras.Model) -> keras.Model:
    """Copies a student with every dtype policy made float32.

    Args:
        student: A built student of any dtype policy.

    Returns:
        A new model with the student's weights.

    Raises:
        ValueError: If the student cannot be rebuilt from its config.
    """
    try:
        clone = dtype_clone(student, "float32")
    except Exception as error:
        raise ValueError(
            "A student in lower precision is exported through a float32 copy, and this one "
            "cannot be rebuilt from its config. Give it (and its custom layers) a "
            "`get_config`, or build it under a float32 policy and copy the weights before the "
            f"export. Received: student={student.name!r} of class {type(student).__name__}, "
            f"policy {student.dtype_policy.name!r}; the reason: {error}"
        ) from error
    _raise_the_rest(clone)
    return clone


def _raise_the_rest(clone):
    """Raises policies that a custom layer sets itself, whatever its config says."""
    for layer in all_layers(clone):
        if layer.variable_dtype in _OTHER:
            raise ValueError(
                "A student in lower precision is exported through a float32 copy, and one of its "
                f"layers sets its weights to {layer.variable_dtype} itself, whatever its config "
                f"says. Received: layer={layer.name!r} of class {type(layer).__name__}"
            )
        if layer.compute_dtype in _OTHER:
            layer.dtype_policy = "float32"
