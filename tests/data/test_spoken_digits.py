import os

import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_kd.data import spoken_digits

DATA_DIR = os.environ.get("KERAS_KD_DATA_DIR")
SPEAKERS = ("ada", "bob", "eve")
needs_data = pytest.mark.skipif(
    not DATA_DIR, reason="KERAS_KD_DATA_DIR does not say where the TFDS data sets are"
)


def sound(digit, speaker, number):
    """Samples that tell what they are: a peak, digit, speaker, number, and for some a fifth."""
    peak = -32768 if digit else 16384
    return np.array([peak, 1000 * digit, 1000 * SPEAKERS.index(speaker), 1000 * number, 1])[
        : 4 + number % 2
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A set like the real one: 3 speakers, 2 digits, 12 recordings each, of 4 or 5 samples."""
    examples = [
        {
            "audio": sound(digit, speaker, number),
            "audio/filename": f"{digit}_{speaker}_{number}.wav",
            "label": digit,
        }
        for number in range(12)
        for speaker in SPEAKERS
        for digit in range(2)
    ]
    path = tmp_path_factory.mktemp("tfds")
    tfds.dataset_builders.store_as_tfds_dataset(
        name="spoken_digit",
        version="1.0.9",
        features=tfds.features.FeaturesDict(
            {
                "audio": tfds.features.Audio(file_format="wav", sample_rate=8000),
                "audio/filename": tfds.features.Text(),
                "label": tfds.features.ClassLabel(num_classes=10),
            }
        ),
        split_datasets={"train": list(enumerate(examples))},
        data_dir=path,
    )
    return path


def heard(data, split):
    """Returns digit, speaker and number of each recording, read from its samples."""
    samples, labels = data.arrays(split)
    peak = np.where(labels == 1, -32768, 16384)
    np.testing.assert_array_equal(samples[:, 0], np.sign(peak))
    values = np.rint(samples[:, 1:4] * np.abs(peak)[:, None] / 1000).astype(int)
    np.testing.assert_array_equal(values[:, 0], labels)
    return [(digit, SPEAKERS[speaker], number) for digit, speaker, number in values]


def test_recordings_are_split_by_their_number(folder):
    data = spoken_digits(folder, length=6)
    numbers = {
        split: sorted({number for *_, number in heard(data, split)})
        for split in ("train", "validation", "test")
    }
    assert numbers == {"test": [0, 1, 2, 3, 4], "validation": [5, 6, 7, 8, 9], "train": [10, 11]}
    assert len(data.test) == 5 * 3 * 2
    assert (data.sampling_rate, data.length, data.num_classes) == (8000, 6, 10)


def test_speakers_of_the_test_are_heard_nowhere_else(folder):
    data = spoken_digits(folder, length=6, test_speakers=["eve"])
    speakers = {
        split: {speaker for _, speaker, _ in heard(data, split)}
        for split in ("train", "validation", "test")
    }
    assert speakers == {"test": {"eve"}, "validation": {"ada", "bob"}, "train": {"ada", "bob"}}
    assert len(data.test) == 12 * 2
    assert {number for *_, number in heard(data, "train")} == {0, 1, 2, 3, 4, 10, 11}


@pytest.mark.parametrize("length", [3, 5, 9])
def test_samples_are_floats_that_are_padded_or_cut(folder, length):
    samples, labels = spoken_digits(folder, length=length).arrays("test")
    assert (samples.shape, samples.dtype) == ((30, length), np.float32)
    np.testing.assert_array_equal(samples[:, 0], np.where(labels == 1, -1.0, 1.0))
    if length > 3:
        np.testing.assert_allclose(np.unique(samples[:, 4]), [0.0, 1 / 32768, 1 / 16384])
    np.testing.assert_array_equal(samples[:, 5:], 0.0)


def test_wrong_arguments_are_refused(folder):
    with pytest.raises(ValueError, match=r"Received: length=0"):
        spoken_digits(folder, length=0)
    for speakers in (["zoe"], "eve", list(SPEAKERS)):
        with pytest.raises(ValueError, match=r"some of \['ada', 'bob', 'eve'\], not all"):
            spoken_digits(folder, test_speakers=speakers)


@needs_data
def test_the_real_set_is_read_from_the_folder():
    data = spoken_digits(DATA_DIR, length=4000)
    assert (len(data.train), len(data.validation), len(data.test)) == (2_400, 300, 300)
    samples, labels = data.arrays("test")
    assert np.bincount(labels).tolist() == [30] * 10
    np.testing.assert_array_equal(np.abs(samples).max(axis=1), 1.0)
