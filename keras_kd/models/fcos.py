"""A small single-shot detector without anchors."""

import math
from collections.abc import Sequence

import keras

_PRIOR = 0.01  # score of every location before training: nearly all are background


def fcos(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    width: int = 16,
    pyramid_width: int = 32,
    name: str = "fcos",
) -> keras.Model:
    """Builds a detector that answers at each location of two pyramid levels, of strides 8 and 16.

    Backbone: a strided convolution `stem`, then `stage1` to `stage3`, each half the size and twice
    the width: two 3x3 convolutions with BatchNormalization and ReLU. Feature pyramid: `p4` from
    `stage3`, `p3` from `stage2` and what is above it. Both levels share a head of one 3x3
    convolution for each output. Locations are in the order of `keras_kd.data.locations`, level by
    level. There is no centre-ness. Inputs are in 0..255; the rescaling to -1..1 is inside. The
    answers are float32 under mixed precision too.

    Args:
        input_shape: `(height, width, channels)` of one image, a multiple of 16.
        num_classes: Classes of objects, without the background.
        width: Channels of `stem` and `stage1`.
        pyramid_width: Channels of `p3`, `p4` and the head.
        name: Name of the model.

    Returns:
        An uncompiled functional model from a batch of images to a dict of `"classes"`, logits
        `(batch, locations, num_classes)`, one sigmoid a class, and `"boxes"`, real values
        `(batch, locations, 4)`, as `keras_kd.data.location_targets` has them.

    Raises:
        ValueError: If `input_shape` is not of three dimensions or no multiple of 16.

    Example:

    >>> from keras_kd.models import fcos
    >>> model = fcos((32, 32, 3), 3, width=2, pyramid_width=4)  # 16 locations of stride 8, 4 of 16
    >>> model.output["classes"].shape, model.output["boxes"].shape
    ((None, 20, 3), (None, 20, 4))

    Reference: Tian, Shen, Chen, He, "FCOS: Fully Convolutional One-Stage Object Detection",
    ICCV 2019; Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017.
    """
    if len(input_shape) != 3 or any(size % 16 for size in input_shape[:2]):
        raise ValueError(
            "`input_shape` must be (height, width, channels), height and width multiples of 16. "
            f"Received: input_shape={tuple(input_shape)}"
        )
    inputs = keras.Input(tuple(input_shape), name="image")
    x = keras.layers.Rescaling(1.0 / 127.5, offset=-1.0, name="rescaling")(inputs)
    x = _normed(x, width, "stem", strides=2)
    stages = []
    for stage in (1, 2, 3):
        channels = width * 2 ** (stage - 1)
        x = _normed(x, channels, f"stage{stage}_conv1", strides=2)
        x = _normed(x, channels, f"stage{stage}")
        stages.append(x)

    above = keras.layers.Conv2D(pyramid_width, 1, name="p4_lateral")(stages[2])
    beside = keras.layers.Conv2D(pyramid_width, 1, name="p3_lateral")(stages[1])
    down = keras.layers.UpSampling2D(name="p3_up")(above)
    p4 = _normed(above, pyramid_width, "p4")
    p3 = _normed(keras.layers.Add(name="p3_add")([beside, down]), pyramid_width, "p3")

    outputs = {}
    start = keras.initializers.Constant(-math.log((1.0 - _PRIOR) / _PRIOR))
    for output, channels, bias in (("classes", num_classes, start), ("boxes", 4, "zeros")):
        tower = keras.layers.Conv2D(
            pyramid_width, 3, padding="same", activation="relu", name=f"{output}_tower"
        )
        answer = keras.layers.Conv2D(
            channels,
            3,
            padding="same",
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            bias_initializer=bias,
            dtype="float32",
            name=f"{output}_answer",
        )
        flatten = keras.layers.Reshape((-1, channels), dtype="float32", name=f"{output}_flatten")
        levels = [flatten(answer(tower(level))) for level in (p3, p4)]
        outputs[output] = keras.layers.Concatenate(axis=1, dtype="float32", name=output)(levels)
    return keras.Model(inputs, outputs, name=name)


def _normed(x, channels, name, strides=1):
    x = keras.layers.Conv2D(
        channels,
        3,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    # 0.9 rather than 0.99: a few hundred steps must be enough for the statistics.
    x = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return keras.layers.ReLU(name=name)(x)
