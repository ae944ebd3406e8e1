"""The residual networks for small images."""

from collections.abc import Sequence

import keras


def resnet(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    depth: int = 8,
    width: int = 16,
    name: str = "resnet",
) -> keras.Model:
    """Builds the CIFAR ResNet of He et al. (2016): three stages of `(depth - 2) / 6` blocks.

    A block is two 3x3 convolutions with BatchNormalization around a shortcut; where a stage halves
    the size and doubles the width, the shortcut is a strided 1x1 convolution with
    BatchNormalization (the paper's option B). What the stages return is in the layers `stage1`,
    `stage2` and `stage3` (before the last ReLU of each: `stage1_add`, ...); then come `pool` (the
    mean over places) and `logits`. Inputs are in 0..255; the rescaling to -1..1 is inside. The
    logits are float32 under mixed precision too.

    Args:
        input_shape: `(height, width, channels)` of one image.
        num_classes: How many logits the model returns.
        depth: Layers with weights, 6 n + 2: 8, 14, 20, 32, 44, 56, 110.
        width: Channels of the first stage; the others have twice and four times as many.
        name: Name of the model.

    Returns:
        An uncompiled functional model from a batch of images to logits `(batch, num_classes)`.

    Raises:
        ValueError: If `input_shape` is not of three dimensions or `depth` is not 6 n + 2.

    Example:

    >>> from keras_kd.models import resnet
    >>> model = resnet((32, 32, 3), 10, depth=8, width=4)
    >>> model.get_layer("stage3").output.shape
    (None, 8, 8, 16)

    Reference: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016,
    section 4.2.
    """
    if len(input_shape) != 3:
        raise ValueError(
            "`input_shape` must be (height, width, channels). "
            f"Received: input_shape={tuple(input_shape)}"
        )
    if depth < 8 or depth % 6 != 2:
        raise ValueError(f"`depth` must be 6 n + 2: 8, 14, 20, ... Received: depth={depth}")
    inputs = keras.Input(tuple(input_shape), name="image")
    x = keras.layers.Rescaling(1.0 / 127.5, offset=-1.0, name="rescaling")(inputs)
    x = keras.layers.ReLU(name="relu")(_convolution(x, width, "conv"))
    blocks = (depth - 2) // 6
    for stage in (1, 2, 3):
        channels = width * 2 ** (stage - 1)
        for number in range(1, blocks + 1):
            strides = 2 if stage > 1 and number == 1 else 1
            last = f"stage{stage}" if number == blocks else f"stage{stage}_block{number}"
            prefix = f"stage{stage}_block{number}"
            y = _convolution(x, channels, f"{prefix}_conv1", strides)
            y = keras.layers.ReLU(name=f"{prefix}_relu1")(y)
            y = _convolution(y, channels, f"{prefix}_conv2")
            if strides == 2:
                x = _convolution(x, channels, f"{prefix}_shortcut", strides, size=1)
            x = keras.layers.Add(name=f"{last}_add")([x, y])
            x = keras.layers.ReLU(name=last)(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    outputs = keras.layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(inputs, outputs, name=name)


def _convolution(x, channels, name, strides=1, size=3):
    x = keras.layers.Conv2D(
        channels,
        size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    # 0.9 rather than 0.99: a few hundred steps must be enough for the statistics.
    return keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
