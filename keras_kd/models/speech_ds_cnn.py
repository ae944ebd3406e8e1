"""A depthwise-separable network over log-mel amplitudes, for small devices."""

from collections.abc import Sequence

import keras

from keras_kd.models.int8_log_mel import int8_log_mel


def speech_ds_cnn(
    length: int,
    num_classes: int,
    *,
    widths: Sequence[int] = (24, 32, 48, 64),
    sampling_rate: int = 8000,
    name: str = "speech_ds_cnn",
) -> keras.Model:
    """Builds a small depthwise-separable network that listens to raw samples.

    After the front end of `int8_log_mel` comes the convolution `stem`, which halves time and
    frequency, and the blocks `block1`, `block2`, ...: a depthwise 3x3 and a pointwise convolution,
    each with BatchNormalization and ReLU. Every second block, from `block2` on, halves both again.
    Then come `pool` (the mean over time and frequency) and `logits`, which are float32 under mixed
    precision too.

    Args:
        length: Samples of a recording, in -1..1.
        num_classes: How many logits the model returns.
        widths: Channels of the stem, then of each block.
        sampling_rate: Samples a second.
        name: Name of the model.

    Returns:
        An uncompiled functional model from samples `(batch, length)` to logits
        `(batch, num_classes)`.

    Raises:
        ValueError: If there is no block.

    Example:

    >>> from keras_kd.models import speech_ds_cnn
    >>> speech_ds_cnn(8000, 10, widths=(2, 2)).output_shape
    (None, 10)

    Reference: Zhang, Suda, Lai, Chandra, "Hello Edge: Keyword Spotting on Microcontrollers", 2017
    (DS-CNN; there with a larger stem, and strides in it alone).
    """
    if len(widths) < 2:
        raise ValueError(
            "`widths` must be those of the stem and at least one block. "
            f"Received: widths={tuple(widths)}"
        )
    samples = keras.Input((length,), name="samples")
    x = int8_log_mel(samples, sampling_rate=sampling_rate)
    x = keras.layers.Conv2D(
        widths[0], 3, strides=2, padding="same", use_bias=False, name="stem_conv"
    )(x)
    x = _activation(x, "stem_norm", "stem")
    for number, width in enumerate(widths[1:], start=1):
        prefix = f"block{number}"
        x = keras.layers.DepthwiseConv2D(
            3,
            strides=1 if number % 2 else 2,
            padding="same",
            use_bias=False,
            name=f"{prefix}_depthwise",
        )(x)
        x = _activation(x, f"{prefix}_norm1", f"{prefix}_relu1")
        x = keras.layers.Conv2D(width, 1, use_bias=False, name=f"{prefix}_pointwise")(x)
        x = _activation(x, f"{prefix}_norm2", prefix)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    outputs = keras.layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(samples, outputs, name=name)


def _activation(x, norm, relu):
    # 0.9 rather than 0.99: a few hundred steps must be enough for the statistics.
    x = keras.layers.BatchNormalization(momentum=0.9, name=norm)(x)
    return keras.layers.ReLU(name=relu)(x)
