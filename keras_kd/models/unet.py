"""The U-Net, for a class at each pixel."""

from collections.abc import Sequence

import keras


def unet(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    width: int = 16,
    depth: int = 3,
    name: str = "unet",
) -> keras.Model:
    """Builds a U-Net that answers at every pixel of its input.

    A stage is twice 3x3 convolution, BatchNormalization and ReLU. `encoder1`, `encoder2`, ... halve
    the size and double the width from one to the next; `bottom` is the stage below; the decoder
    goes back up, from `decoder{depth}` to `decoder1`, each beside what the encoder's stage of that
    number gave. Then comes `logits`, a 1x1 convolution. Convolutions are padded, so that the answer
    is as large as the image, and going up repeats pixels. Inputs are in 0..255; the rescaling to
    -1..1 is inside. The logits are float32 under mixed precision too.

    Args:
        input_shape: `(height, width, channels)` of one image, a multiple of `2 ** depth`.
        num_classes: Classes of a pixel, background included.
        width: Channels of the first stage.
        depth: How many times the size is halved.
        name: Name of the model.

    Returns:
        An uncompiled functional model from a batch of images to logits
        `(batch, height, width, num_classes)`.

    Raises:
        ValueError: If `input_shape` is not of three dimensions or no multiple of `2 ** depth`, or
            `depth` is below 1.

    Example:

    >>> from keras_kd.models import unet
    >>> unet((16, 16, 3), 4, width=2, depth=1).output_shape
    (None, 16, 16, 4)

    Reference: Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image
    Segmentation", MICCAI 2015.
    """
    if len(input_shape) != 3:
        raise ValueError(
            "`input_shape` must be (height, width, channels). "
            f"Received: input_shape={tuple(input_shape)}"
        )
    if depth < 1 or any(size % 2**depth for size in input_shape[:2]):
        raise ValueError(
            "`depth` must be at least 1, and height and width a multiple of 2 ** depth. "
            f"Received: input_shape={tuple(input_shape)}, depth={depth}"
        )
    inputs = keras.Input(tuple(input_shape), name="image")
    x = keras.layers.Rescaling(1.0 / 127.5, offset=-1.0, name="rescaling")(inputs)
    across = []
    for stage in range(1, depth + 1):
        x = _stage(x, width * 2 ** (stage - 1), f"encoder{stage}")
        across.append(x)
        x = keras.layers.MaxPooling2D(name=f"encoder{stage}_pool")(x)
    x = _stage(x, width * 2**depth, "bottom")
    for stage in range(depth, 0, -1):
        x = keras.layers.UpSampling2D(name=f"decoder{stage}_up")(x)
        x = keras.layers.Concatenate(name=f"decoder{stage}_beside")([across[stage - 1], x])
        x = _stage(x, width * 2 ** (stage - 1), f"decoder{stage}")
    outputs = keras.layers.Conv2D(num_classes, 1, dtype="float32", name="logits")(x)
    return keras.Model(inputs, outputs, name=name)


def _stage(x, channels, name):
    for number in (1, 2):
        x = keras.layers.Conv2D(
            channels,
            3,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"{name}_conv{number}",
        )(x)
        # 0.9 rather than 0.99: a few hundred steps must be enough for the statistics.
        x = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_norm{number}")(x)
        x = keras.layers.ReLU(name=name if number == 2 else f"{name}_relu{number}")(x)
    return x
