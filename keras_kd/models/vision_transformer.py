"""A small transformer over the patches of an image."""

from collections.abc import Sequence

import keras


def vision_transformer(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    patch_size: int = 4,
    width: int = 64,
    depth: int = 2,
    heads: int = 4,
    dropout: float = 0.0,
    name: str = "vision_transformer",
) -> keras.Model:
    """Builds a pre-norm transformer encoder over square patches, with mean pooling.

    Block `n` attends in the layer `attention{n}` (`keras.layers.MultiHeadAttention`) and returns
    tokens `(batch, patches, width)` from the layer `tokens{n}`; `embedding` holds the patches with
    their positions. Then come `pool` (the mean over patches) and `logits`. Inputs are in 0..255;
    the rescaling to 0..1 is inside. The logits are float32 under mixed precision too.

    Args:
        input_shape: `(height, width, channels)` of one image, a multiple of `patch_size`.
        num_classes: How many logits the model returns.
        patch_size: Side of a patch in pixels.
        width: Channels of a token, a multiple of `heads`.
        depth: How many blocks.
        heads: Attention heads of a block.
        dropout: Share of attention and of the blocks' outputs that is dropped in training.
        name: Name of the model.

    Returns:
        An uncompiled functional model from a batch of images to logits `(batch, num_classes)`.

    Raises:
        ValueError: If the image is no multiple of the patch, or the width none of the heads.

    Example:

    >>> from keras_kd.models import vision_transformer
    >>> vision_transformer((8, 8, 1), 10, width=8, depth=1, heads=2).output_shape
    (None, 10)

    Reference: Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021.
    """
    if len(input_shape) != 3 or any(size % patch_size for size in input_shape[:2]):
        raise ValueError(
            "`input_shape` must be (height, width, channels) with height and width a multiple of "
            f"`patch_size`. Received: input_shape={tuple(input_shape)}, patch_size={patch_size}"
        )
    if width % heads:
        raise ValueError(
            f"`width` must be a multiple of `heads`. Received: width={width}, heads={heads}"
        )
    patches = (input_shape[0] // patch_size) * (input_shape[1] // patch_size)
    inputs = keras.Input(tuple(input_shape), name="image")
    x = keras.layers.Rescaling(1.0 / 255.0, name="rescaling")(inputs)
    x = keras.layers.Conv2D(width, patch_size, strides=patch_size, name="patches")(x)
    x = keras.layers.Reshape((patches, width), name="flatten")(x)
    positions = keras.layers.Embedding(patches, width, name="positions")
    x = x + positions(keras.ops.arange(patches))
    x = keras.layers.Identity(name="embedding")(x)
    for number in range(1, depth + 1):
        y = keras.layers.LayerNormalization(name=f"attention_norm{number}")(x)
        attend = keras.layers.MultiHeadAttention(
            heads, width // heads, dropout=dropout, name=f"attention{number}"
        )
        x = x + keras.layers.Dropout(dropout, name=f"attention_drop{number}")(attend(y, y))
        y = keras.layers.LayerNormalization(name=f"dense_norm{number}")(x)
        y = keras.layers.Dense(2 * width, "gelu", name=f"dense{number}")(y)
        y = keras.layers.Dense(width, name=f"project{number}")(y)
        y = keras.layers.Dropout(dropout, name=f"dense_drop{number}")(y)
        x = keras.layers.Add(name=f"tokens{number}")([x, y])
    x = keras.layers.LayerNormalization(name="norm")(x)
    x = keras.layers.GlobalAveragePooling1D(name="pool")(x)
    outputs = keras.layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(inputs, outputs, name=name)
