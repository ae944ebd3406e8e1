"""The values that losses between samples work on: one vector a sample."""

from keras import ops


def check_vectors(name, teacher_value, student_value):
    """Raises a ValueError unless both values are vectors `(B, C)`; their widths may differ."""
    for value in (teacher_value, student_value):
        if len(value.shape) != 2:
            raise ValueError(
                f"{name} compares samples by vectors (B, C): tap the layer that pools the map or "
                f"the sequence, or its Dense layer. Received: teacher="
                f"{tuple(teacher_value.shape)}, student={tuple(student_value.shape)}"
            )


def scaled_to_one(values, axes=None):
    """Divides values by the largest magnitude along some axes (None: all of them).

    For formulas that do not see how large their values are: neither squares nor products of what
    comes out overflow or vanish. Zeros stay zero.
    """
    largest = ops.stop_gradient(ops.max(ops.abs(values), axis=axes, keepdims=True))
    return values / ops.where(largest > 0.0, largest, ops.ones_like(largest))
