"""A small plain convolutional network."""

from collections.abc import Sequence

import keras


def cnn(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    width: int = 16,
    stages: int = 3,
    depth: int = 1,
    dropout: float = 0.0,
    name: str = "cnn",
) -> keras.Model:
    """Builds a plain convolutional network of stages, each half the size and twice the width.

    A stage is `depth` times 3x3 convolution, BatchNormalization and ReLU; from the second stage on
    its first convolution has stride 2. What a stage returns is the layer `stage1`, `stage2`, ...;
    then come `pool` (the mean over places) and `logits`. Inputs are in 0..255; the rescaling to
    0..1 is inside. The logits are float32 under mixed precision too.

    Args:
        input_shape: `(height, width, channels)` of one image.
        num_classes: How many logits the model returns.
        width: Channels of the first stage.
        stages: How many stages.
        depth: Convolutions in a stage.
        dropout: Share of the pooled features that is dropped in training (layer `dropout`).
        name: Name of the model.

    Returns:
        An uncompiled functional model from a batch of images to logits `(batch, num_classes)`.

    Raises:
        ValueError: If `input_shape` is not of three dimensions, or `stages` or `depth` is below 1.

    Example:

    >>> from keras_kd.models import cnn
    >>> model = cnn((8, 8, 1), 10, width=4, stages=2)
    >>> model.get_layer("stage2").output.shape, model.output_shape
    ((None, 4, 4, 8), (None, 10))
    """
    if len(input_shape) != 3:
        raise ValueError(
            "`input_shape` must be (height, width, channels). "
            f"Received: input_shape={tuple(input_shape)}"
        )
    if stages < 1 or depth < 1:
        raise ValueError(
            f"`stages` and `depth` must be at least 1. Received: stages={stages}, depth={depth}"
        )
    inputs = keras.Input(tuple(input_shape), name="image")
    x = keras.layers.Rescaling(1.0 / 255.0, name="rescaling")(inputs)
    for stage in range(1, stages + 1):
        for number in range(1, depth + 1):
            x = keras.layers.Conv2D(
                width * 2 ** (stage - 1),
                3,
                strides=2 if stage > 1 and number == 1 else 1,
                padding="same",
                use_bias=False,
                name=f"stage{stage}_conv{number}",
            )(x)
            # 0.9 rather than 0.99: a few hundred steps must be enough for the statistics.
            x = keras.layers.BatchNormalization(momentum=0.9, name=f"stage{stage}_norm{number}")(x)
            last = number == depth
            x = keras.layers.ReLU(name=f"stage{stage}" if last else f"stage{stage}_relu{number}")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    outputs = keras.layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(inputs, outputs, name=name)
