"""What speech models begin with."""

from __future__ import annotations

import keras

from keras_kd.typing import Tensor


def log_mel(
    samples: Tensor,
    *,
    sampling_rate: int = 8000,
    window: int = 256,
    stride: int = 128,
    bands: int = 40,
    floor: float = 1e-2,
) -> Tensor:
    """Turns samples into log-mel amplitudes, as an image of one channel.

    Layers: `mel` (`keras.layers.MelSpectrogram`, which transforms by FFT), `time_first`, and
    `norm`, a BatchNormalization with a mean and a variance for each band. Exported to LiteRT in
    float32 it is exact; in int8 it is not, see `int8_log_mel`.

    Args:
        samples: Tensor `(batch, length)` of samples in -1..1.
        sampling_rate: Samples a second.
        window: Samples of a window, Hann's, and of the Fourier transform.
        stride: Samples from one window to the next.
        bands: Mel bands, from 60 Hz to half the sampling rate.
        floor: The least amplitude that the logarithm sees.

    Returns:
        Tensor `(batch, 1 + length // stride, bands, 1)`.

    Raises:
        ValueError: If the samples are no tensor `(batch, length)` of known length, or there are
            fewer of them than half a window.
    """
    if len(samples.shape) != 2 or samples.shape[1] is None or samples.shape[1] <= window // 2:
        raise ValueError(
            "Samples of shape (batch, length), with more than half a window of them, were "
            f"expected. Received: shape={tuple(samples.shape)}, window={window}"
        )
    x = keras.layers.MelSpectrogram(
        fft_length=window,
        sequence_stride=stride,
        sampling_rate=sampling_rate,
        num_mel_bins=bands,
        min_freq=60.0,
        mag_exp=1.0,
        # Its decibels are cut off below the loudest place of the whole batch: an example must not
        # depend on what is beside it.
        power_to_db=False,
        name="mel",
    )(samples)
    x = keras.layers.Permute((2, 1), name="time_first")(x)
    x = keras.ops.log(keras.ops.maximum(x, floor))
    x = keras.layers.BatchNormalization(momentum=0.9, name="norm")(x)
    return keras.layers.Reshape((*x.shape[1:], 1), name="image")(x)
