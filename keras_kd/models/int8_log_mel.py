"""What speech models begin with that are to be quantised to 8 bits."""

from __future__ import annotations

import keras
import numpy as np

from keras_kd.typing import Tensor

# Where amplitudes are cut off, in floors. With 1 added, 256 steps then reach to 255 sixteenths, so
# that silence, which is 1, is 16 steps exactly and has logarithm 0.
_LOUDEST = 255 / 16 - 1
_LOWEST = 60.0  # Hz: where the bands begin


def int8_log_mel(
    samples: Tensor,
    *,
    sampling_rate: int = 8000,
    window: int = 128,
    stride: int = 80,
    bands: int = 24,
    floor: float = 0.02,
) -> Tensor:
    """Turns samples into log-mel amplitudes by operations that hold in 8 bits.

    256 steps hold 48 decibels of an amplitude but 24 of its square, so there is no power spectrum
    here: the Fourier transform is a convolution with fixed kernels, whose real and imaginary parts
    are added without their signs, within a factor of the root of 2 of the amplitude. What comes
    out is log(1 + amplitude / floor), which is 0 where there is no sound: a rounded zero would be
    an error of one sign in all of the silence around a word. Amplitudes are cut off at 15 floors.
    Eight bits still lose what is more than 40 decibels below the loudest sample of all calibration
    data: bring all recordings to one peak.

    Layers: `stft` (`keras.layers.STFTSpectrogram`, with a gain of 3 decibels an octave in its
    kernels, so that one scale of 256 steps suits all frequencies of speech), `mel`, whose fixed
    weights take means over the real and imaginary parts of a band, in floors, `loudest`, which cuts
    off, and `norm`, a BatchNormalization with a mean and a variance for each band.

    Args:
        samples: Tensor `(batch, length)` of samples in -1..1.
        sampling_rate: Samples a second.
        window: Samples of a window, Hann's; a power of 2.
        stride: Samples from one window to the next.
        bands: Mel bands, from 60 Hz to half the sampling rate.
        floor: An amplitude, above 0, far below which sounds count as silence; a sine of amplitude 1
            gives about 1.

    Returns:
        Tensor `(batch, ceil(length / stride), bands, 1)`.

    Raises:
        ValueError: If the samples are no tensor `(batch, length)` of known length, or a band is so
            narrow that no frequency of the transform falls into it, or `floor` is not above 0.
    """
    if len(samples.shape) != 2 or samples.shape[1] is None:
        raise ValueError(
            "Samples of shape (batch, length), the length known, were expected. "
            f"Received: shape={tuple(samples.shape)}"
        )
    if not floor > 0.0:
        raise ValueError(f"`floor` must be an amplitude above 0. Received: floor={floor}")
    frequencies = np.linspace(0.0, sampling_rate / 2, window // 2 + 1)
    matrix = _mel_means(sampling_rate, frequencies, bands) / floor
    x = keras.layers.Reshape((samples.shape[1], 1), name="channel")(samples)
    stft = keras.layers.STFTSpectrogram(
        mode="stft",
        frame_length=window,
        frame_step=stride,
        fft_length=window,
        scaling="spectrum",
        padding="same",
        trainable=False,
        name="stft",
    )
    x = stft(x)
    gain = 2.0 * np.sqrt(np.maximum(frequencies, _LOWEST) / 1000.0)
    stft.set_weights([kernel * gain for kernel in stft.get_weights()])
    mel = keras.layers.Dense(bands, use_bias=False, trainable=False, name="mel")
    x = mel(keras.ops.abs(x))
    mel.set_weights([np.concatenate([matrix, matrix])])
    x = keras.layers.ReLU(max_value=_LOUDEST, name="loudest")(x)
    x = keras.layers.BatchNormalization(momentum=0.9, name="norm")(keras.ops.log(x + 1.0))
    return keras.layers.Reshape((*x.shape[1:], 1), name="image")(x)


def _mel_means(sampling_rate, frequencies, bands):
    """Returns `(frequencies, bands)`: each column takes the mean over its band."""
    weights = keras.layers.MelSpectrogram().linear_to_mel_weight_matrix(
        bands, len(frequencies), sampling_rate, _LOWEST, sampling_rate / 2
    )
    weights = keras.ops.convert_to_numpy(weights)
    sums = weights.sum(axis=0)
    if not sums.all():
        raise ValueError(
            f"{np.sum(sums == 0)} bands hold no frequency of the transform: take fewer bands or a "
            f"longer window. Received: bands={bands}, window={2 * (len(frequencies) - 1)}"
        )
    return weights / sums
