"""The wide residual networks for small images."""

from collections.abc import Sequence

import keras


def wide_resnet(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    depth: int = 16,
    widen: int = 2,
    name: str = "wide_resnet",
) -> keras.Model:
    """Builds a pre-activation wide ResNet: three stages of `(depth - 4) / 6` blocks.

    A block is twice BatchNormalization, ReLU and 3x3 convolution around a shortcut; where the shape
    changes, the shortcut is a 1x1 convolution of the activated input. The last additions of the
    stages are the layers `stage1`, `stage2` and `stage3`; then come `bn`, `relu`, `pool` (the mean
    over places) and `logits`. Inputs are in 0..255; the rescaling to -1..1 is inside. The logits
    are float32 under mixed precision too.

    Args:
        input_shape: `(height, width, channels)` of one image.
        num_classes: How many logits the model returns.
        depth: 6 n + 4: 10, 16, 22, 28, 40.
        widen: Factor on the widths 16, 32, 64.
        name: Name of the model.

    Returns:
        An uncompiled functional model from a batch of images to logits `(batch, num_classes)`.

    Raises:
        ValueError: If `input_shape` is not of three dimensions or `depth` is not 6 n + 4.

    Example:

    >>> from keras_kd.models import wide_resnet
    >>> wide_resnet((16, 16, 3), 10, depth=10, widen=1).get_layer("stage3").output.shape
    (None, 4, 4, 64)

    Reference: Zagoruyko, Komodakis, "Wide Residual Networks", BMVC 2016.
    """
    if len(input_shape) != 3:
        raise ValueError(
            "`input_shape` must be (height, width, channels). "
            f"Received: input_shape={tuple(input_shape)}"
        )
    if depth < 10 or depth % 6 != 4:
        raise ValueError(f"`depth` must be 6 n + 4: 10, 16, 22, ... Received: depth={depth}")
    inputs = keras.Input(tuple(input_shape), name="image")
    x = keras.layers.Rescaling(1.0 / 127.5, offset=-1.0, name="rescaling")(inputs)
    x = _convolution(x, 16, "conv")
    blocks = (depth - 4) // 6
    for stage in (1, 2, 3):
        channels = 16 * widen * 2 ** (stage - 1)
        for number in range(1, blocks + 1):
            prefix = f"stage{stage}_block{number}"
            strides = 2 if stage > 1 and number == 1 else 1
            y = _activation(x, f"{prefix}_bn1", f"{prefix}_relu1")
            if strides > 1 or x.shape[-1] != channels:
                x = _convolution(y, channels, f"{prefix}_shortcut", strides, size=1)
            y = _convolution(y, channels, f"{prefix}_conv1", strides)
            y = _activation(y, f"{prefix}_bn2", f"{prefix}_relu2")
            y = _convolution(y, channels, f"{prefix}_conv2")
            x = keras.layers.Add(name=f"stage{stage}" if number == blocks else prefix)([x, y])
    x = _activation(x, "bn", "relu")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    outputs = keras.layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(inputs, outputs, name=name)


def _activation(x, norm, relu):
    # 0.9 rather than 0.99: a few hundred steps must be enough for the statistics.
    x = keras.layers.BatchNormalization(momentum=0.9, name=norm)(x)
    return keras.layers.ReLU(name=relu)(x)


def _convolution(x, channels, name, strides=1, size=3):
    return keras.layers.Conv2D(
        channels,
        size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
