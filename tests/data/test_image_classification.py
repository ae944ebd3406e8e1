import os

import numpy as np
import pytest
import tensorflow_datasets as tfds

import keras_kd.data

DATA_DIR = os.environ.get("KERAS_KD_DATA_DIR")
needs_data = pytest.mark.skipif(
    not DATA_DIR, reason="KERAS_KD_DATA_DIR does not say where the TFDS data sets are"
)


def flat(index, shape=(4, 4, 1)):
    return {"image": np.full(shape, index, np.uint8), "label": index % 2}


def write(folder, name, *, splits=None, example=flat, image=(4, 4, 1), label=True):
    """Writes a set that is no TFDS name."""
    features = {"image": tfds.features.Image(shape=image)}
    if label:
        features["label"] = tfds.features.ClassLabel(names=["dark", "light"])
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={
            split: [
                (index, {key: example(index)[key] for key in features}) for index in range(size)
            ]
            for split, size in (splits or {"train": 100}).items()
        },
        data_dir=folder,
    )


def load(folder, **settings):
    write(folder, "made", **settings)
    return keras_kd.data.image_classification("made", folder, image_size=(8, 6))


def pixels(data, split):
    """Returns the set of examples in a split, each told apart by the value of its pixels."""
    return {int(value) for value in data.arrays(split)[0][:, 0, 0, 0]}


@pytest.mark.parametrize(
    ("splits", "sizes"),
    [
        ({"train": 100}, (80, 10, 10)),
        ({"train": 100, "test": 20}, (90, 10, 20)),
        ({"train": 100, "validation": 20}, (90, 10, 20)),
        ({"train": 100, "validation": 30, "test": 20}, (100, 30, 20)),
    ],
)
def test_missing_splits_are_carved_out_of_train(splits, sizes, tmp_path):
    data = load(tmp_path, splits=splits)
    assert (len(data.train), len(data.validation), len(data.test)) == sizes
    read = [data.arrays(split)[0] for split in ("train", "validation", "test")]
    assert tuple(map(len, read)) == sizes


def test_carved_splits_share_no_example(tmp_path):
    data = load(tmp_path)
    splits = [pixels(data, split) for split in ("train", "validation", "test")]
    assert set().union(*splits) == set(range(100))
    assert sum(map(len, splits)) == 100


def test_images_are_float_in_0_to_255_and_labels_are_integers(tmp_path):
    data = load(tmp_path, splits={"train": 100, "test": 20})
    images, labels = data.arrays("test")
    assert images.dtype == np.float32
    assert labels.dtype == np.int32
    assert images.max() == 19.0
    np.testing.assert_array_equal(images[:, 0, 0, 0] % 2, labels)
    assert data.class_names == ("dark", "light")
    assert data.num_classes == 2
    assert data.image_shape == (4, 4, 1)


def test_two_reads_give_one_order(tmp_path):
    data = load(tmp_path)
    np.testing.assert_array_equal(data.arrays("train")[0], data.arrays("train")[0])


def test_images_of_varying_size_are_resized(tmp_path):
    data = load(
        tmp_path, image=(None, None, 3), example=lambda index: flat(index, (4 + index % 3, 5, 3))
    )
    images, _ = data.arrays("test")
    assert images.shape[1:] == data.image_shape == (8, 6, 3)
    assert np.all(images == images[:, :1, :1, :1])  # a flat image stays flat


def test_a_wrong_name_lists_what_exists_and_suggests_the_nearest(tmp_path):
    write(tmp_path, "made_train_only")
    with pytest.raises(ValueError) as error:
        keras_kd.data.image_classification("made_train_onyl", tmp_path)
    message = str(error.value)
    assert "holds: made_train_only." in message
    assert "cifar10" in message
    assert "Did you mean 'made_train_only'" in message
    assert "Received: name='made_train_onyl'" in message


def test_a_name_tfds_cannot_parse_is_a_wrong_name(tmp_path):
    with pytest.raises(ValueError, match="Did you mean 'mnist'"):
        keras_kd.data.image_classification("mnist/no such/thing", tmp_path)


def test_a_set_without_labels_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"one class label.*Received: name='made'"):
        load(tmp_path, label=False)


def test_a_set_without_training_split_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"named 'train' was expected.*'test'"):
        load(tmp_path, splits={"test": 20})


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "image_shape", "sizes"),
    [
        ("mnist", (28, 28, 1), (54_000, 6_000, 10_000)),
        ("cifar10", (32, 32, 3), (45_000, 5_000, 10_000)),
    ],
)
def test_real_sets_are_read_from_the_folder(name, image_shape, sizes):
    data = keras_kd.data.image_classification(name, DATA_DIR)
    assert data.image_shape == image_shape
    assert (len(data.train), len(data.validation), len(data.test)) == sizes
    images, labels = next(data.test.batch(256).as_numpy_iterator())
    assert images.shape == (256, *image_shape)
    assert images.max() == 255.0
    assert set(labels) == set(range(10))


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("name", ["bccd", "sst2_sentences"])
def test_real_sets_of_another_kind_are_refused(name):
    with pytest.raises(ValueError, match="image-classification set was expected"):
        keras_kd.data.image_classification(name, DATA_DIR)
