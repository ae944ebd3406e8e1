"""Reading and setting the mask that Keras keeps beside a tensor."""

import keras
from keras import ops


class _MaskReader(keras.layers.Layer):
    def __init__(self):
        super().__init__(autocast=False, name="mask_reader")
        self.supports_masking = True  # else Keras warns that the mask ends here

    def call(self, value, mask=None):
        return [] if mask is None else [mask]


class _MaskSetter(keras.layers.Layer):
    def __init__(self):
        super().__init__(autocast=False, name="mask_setter")
        self.supports_masking = True

    def call(self, value_and_mask):
        return value_and_mask[0]

    def compute_mask(self, value_and_mask, previous_mask):
        return value_and_mask[1]


_reader = _MaskReader()
_setter = _MaskSetter()


def keras_mask(value):
    """Returns the Keras mask of a tensor, or None.

    Keras hands it to any layer that asks. It is an attribute of the tensor on TensorFlow only: in a
    compiled step on JAX tensors hold no attributes.
    """
    if not keras.ops.is_tensor(value):
        return None
    return next(iter(_reader(value)), None)


def with_mask(value, mask):
    """Returns a tensor with a Keras mask; one that has a mask, or gets None, as it is."""
    if mask is None or not keras.ops.is_tensor(value):
        return value
    return _setter([value, mask])


def both_real(student_mask, teacher_mask):
    """Returns a mask of the positions that neither model masks, or None where none does.

    Args:
        student_mask: True where a position is real, or None; or a list of them.
        teacher_mask: Likewise.

    Raises:
        ValueError: If the masks are of other positions.
    """
    if isinstance(student_mask, list | tuple) or isinstance(teacher_mask, list | tuple):
        return [both_real(*pair) for pair in zip(student_mask, teacher_mask, strict=True)]
    if student_mask is None or teacher_mask is None:
        return teacher_mask if student_mask is None else student_mask
    shapes = [tuple(mask.shape) for mask in (student_mask, teacher_mask)]
    sizes = zip(*shapes, strict=False)
    fit = all(a is None or b is None or a == b for a, b in sizes)
    if not fit or len(shapes[0]) != len(shapes[1]):
        raise ValueError(
            "Teacher and student mask other positions, so it cannot be told which of them both "
            f"have. Received: mask of the student={shapes[0]}, of the teacher={shapes[1]}"
        )
    masks = (ops.cast(mask, "bool") for mask in (student_mask, teacher_mask))
    return ops.logical_and(*masks)
