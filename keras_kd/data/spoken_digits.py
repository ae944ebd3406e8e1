"""Spoken digits of six speakers."""

import os
from collections.abc import Sequence

import numpy as np

from keras_kd.data.audio_data import AudioData
from keras_kd.lazy_modules import tf, tfds

_TEST, _VALIDATION = range(5), range(5, 10)  # numbers of the recordings


def spoken_digits(
    data_dir: str | os.PathLike | None = None,
    *,
    length: int = 8000,
    test_speakers: Sequence[str] = (),
) -> AudioData:
    """Loads the Free Spoken Digit Dataset: 3,000 recordings of ten digits at 8 kHz.

    Every speaker says every digit fifty times. Recordings 0 to 4 are the test split, as the set's
    authors have it, and 5 to 9 validate. With `test_speakers`, all that these say is the test
    split, and the others' recordings 5 to 9 validate: then no voice of the test is known. Each
    recording is scaled so that its loudest sample is 1 or -1; as they come, some are a hundred
    times as loud as others.

    Args:
        data_dir: The folder TFDS keeps its sets in; without the set there, TFDS downloads it. None
            is TFDS' own default.
        length: Samples of a recording: shorter ones get zeros behind, longer ones are cut. One
            second by default; one recording in 150 is longer.
        test_speakers: Names of speakers, as in the set's file names.

    Returns:
        The set in three splits, in the set's own order.

    Raises:
        ValueError: If `length` is below 1, or the set has no such speaker, or no others.

    Example:

    >>> data = keras_kd.data.spoken_digits()  # doctest: +SKIP
    >>> samples, label = next(iter(data.train))  # doctest: +SKIP
    >>> samples.shape  # doctest: +SKIP
    TensorShape([8000])

    Reference: Jackson et al., "Free Spoken Digit Dataset", 2016 (CC BY-SA 4.0).
    """

    if length < 1:
        raise ValueError(f"`length` must be at least 1 sample. Received: length={length}")
    builder = tfds.builder("spoken_digit", data_dir=data_dir)
    builder.download_and_prepare()
    samples, labels, speakers, numbers = _read(builder, length)
    heard = set(speakers.tolist())
    if isinstance(test_speakers, str) or not set(test_speakers) < heard:
        raise ValueError(
            f"`test_speakers` must be some of {sorted(heard)}, not all. "
            f"Received: test_speakers={test_speakers!r}"
        )
    held_out = np.isin(speakers, list(test_speakers))
    test = held_out if held_out.any() else np.isin(numbers, _TEST)
    validation = np.isin(numbers, _VALIDATION) & ~test

    def loud(sound, label):
        sound = tf.cast(sound, tf.float32)
        return sound / tf.maximum(tf.reduce_max(tf.abs(sound)), 1.0), label

    def split(rows):
        return tf.data.Dataset.from_tensor_slices((samples[rows], labels[rows])).map(loud)

    return AudioData(
        name="spoken_digit",
        class_names=tuple(builder.info.features["label"].names),
        sampling_rate=builder.info.features["audio"].sample_rate,
        length=length,
        train=split(~test & ~validation),
        validation=split(validation),
        test=split(test),
    )


def _read(builder, length):
    """Returns samples of 16 bits, labels, speakers and the recordings' numbers."""
    size = builder.info.splits["train"].num_examples
    samples = np.zeros((size, length), "int16")
    labels, speakers, numbers = np.zeros(size, "int32"), [], np.zeros(size, "int32")
    dataset = builder.as_dataset(split="train", shuffle_files=False)
    for row, example in enumerate(dataset.as_numpy_iterator()):
        sound = example["audio"][:length]
        samples[row, : len(sound)] = sound
        labels[row] = example["label"]
        _, speaker, number = example["audio/filename"].decode().removesuffix(".wav").split("_")
        speakers.append(speaker)
        numbers[row] = int(number)
    return samples, labels, np.array(speakers), numbers
