"""A convolution that padding does not reach."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class MaskedConv1D(keras.layers.Conv1D):
    """`keras.layers.Conv1D` that reads zeros where Keras' mask says padding.

    Zeros are what `padding="same"` puts behind the end, so that a sequence gives the same however
    far it is padded. The mask goes on to the next layer, which `Conv1D` would end.

    Args:
        filters, kernel_size, **kwargs: As in `keras.layers.Conv1D`, but `strides`, which is 1, and
            `padding`, which is `"same"` (the default) or `"causal"`.

    Raises:
        ValueError: If the arguments would change the sequence's length.

    Example:

    >>> import keras
    >>> from keras_kd.models.masked_conv1d import MaskedConv1D
    >>> words = keras.Input((None,), dtype="int32")
    >>> x = keras.layers.Embedding(10, 4, mask_zero=True)(words)
    >>> MaskedConv1D(8, 3)(x).shape
    (None, None, 8)
    """

    def __init__(
        self, filters: int, kernel_size: int, *, padding: str = "same", **kwargs: Any
    ) -> None:
        super().__init__(filters, kernel_size, padding=padding, **kwargs)
        if padding not in ("same", "causal") or self.strides != (1,):
            raise ValueError(
                "The mask must fit what comes out: strides=1 and padding 'same' or 'causal'. "
                f"Received: strides={kwargs.get('strides')}, padding={padding!r}"
            )
        self.supports_masking = True

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Returns the convolution of what is not padding."""
        if mask is not None:
            inputs = inputs * ops.expand_dims(ops.cast(mask, inputs.dtype), -1)
        return super().call(inputs)
