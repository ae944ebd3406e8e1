"""Reading the mask that Keras keeps beside a tensor."""

import keras


class _MaskReader(keras.layers.Layer):
    def __init__(self):
        super().__init__(autocast=False, name="mask_reader")
        self.supports_masking = True  # else Keras warns that the mask ends here

    def call(self, value, mask=None):
        return [] if mask is None else [mask]


_reader = _MaskReader()


def keras_mask(value):
    """Returns the Keras mask of a tensor, or None.

    Keras hands it to any layer that asks. It is an attribute of the tensor on TensorFlow only: in a
    compiled step on JAX tensors hold no attributes.
    """
    if not keras.ops.is_tensor(value):
        return None
    return next(iter(_reader(value)), None)
