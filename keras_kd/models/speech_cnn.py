"""A plain convolutional network over log-mel amplitudes."""

import keras

from keras_kd.models.log_mel import log_mel


def speech_cnn(
    length: int,
    num_classes: int,
    *,
    width: int = 24,
    stages: int = 3,
    dropout: float = 0.3,
    sampling_rate: int = 8000,
    name: str = "speech_cnn",
) -> keras.Model:
    """Builds a convolutional network that listens to raw samples.

    After the front end of `log_mel` come stages of twice 3x3 convolution, BatchNormalization and
    ReLU; each halves time and frequency in its first convolution and doubles the width. What a
    stage returns is the layer `stage1`, `stage2`, ...; then come `pool` (the mean over time and
    frequency), `dropout` and `logits`. The logits are float32 under mixed precision too.

    Args:
        length: Samples of a recording, in -1..1.
        num_classes: How many logits the model returns.
        width: Channels of the first stage.
        stages: How many stages.
        dropout: Share of the pooled features that is dropped in training.
        sampling_rate: Samples a second.
        name: Name of the model.

    Returns:
        An uncompiled functional model from samples `(batch, length)` to logits
        `(batch, num_classes)`.

    Raises:
        ValueError: If `stages` is below 1, or the recording is shorter than half a window.

    Example:

    >>> from keras_kd.models import speech_cnn
    >>> speech_cnn(8000, 10, width=2, stages=1).output_shape
    (None, 10)
    """
    if stages < 1:
        raise ValueError(f"`stages` must be at least 1. Received: stages={stages}")
    samples = keras.Input((length,), name="samples")
    x = log_mel(samples, sampling_rate=sampling_rate)
    for stage in range(1, stages + 1):
        for number in (1, 2):
            x = keras.layers.Conv2D(
                width * 2 ** (stage - 1),
                3,
                strides=2 if number == 1 else 1,
                padding="same",
                use_bias=False,
                kernel_initializer="he_normal",
                name=f"stage{stage}_conv{number}",
            )(x)
            # 0.9 rather than 0.99: a few hundred steps must be enough for the statistics.
            x = keras.layers.BatchNormalization(momentum=0.9, name=f"stage{stage}_norm{number}")(x)
            last = number == 2
            x = keras.layers.ReLU(name=f"stage{stage}" if last else f"stage{stage}_relu1")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    outputs = keras.layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(samples, outputs, name=name)
