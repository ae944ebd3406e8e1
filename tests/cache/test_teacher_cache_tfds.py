"""A split as tensorflow_datasets gives it."""

import os

import numpy as np
import pytest

from keras_kd import TeacherCache

DATA_DIR = os.environ.get("KERAS_KD_DATA_DIR")


def means(x):
    """The mean of each channel, less 100: real values."""
    return x.reshape(len(x), -1, 3).mean(1) - 100.0


@pytest.mark.slow
@pytest.mark.skipif(not DATA_DIR, reason="KERAS_KD_DATA_DIR names no folder of TFDS data")
def test_a_builders_split_is_labelled(tmp_path):
    import tensorflow_datasets as tfds

    builder = tfds.builder("cifar10", data_dir=DATA_DIR)
    cache = TeacherCache(tmp_path, means, dtype="float32")
    train = cache.label(builder.as_dataset(split="test", as_supervised=True))
    split = tfds.as_numpy(builder.as_dataset(split="test", as_supervised=True))
    count = 0
    for (x, y), (image, label) in zip(train.as_numpy_iterator(), split, strict=True):
        np.testing.assert_array_equal(x["inputs"], image)
        np.testing.assert_allclose(x["teacher_outputs"], means(image[None])[0], atol=1e-3)
        assert y == label
        count += 1
    assert count == train.cardinality() == 10_000
    with pytest.raises(ValueError, match="differed in a second reading"):
        shuffled = builder.as_dataset(split="test", as_supervised=True, shuffle_files=True)
        TeacherCache(tmp_path / "shuffled", means).label(shuffled.shuffle(100))
