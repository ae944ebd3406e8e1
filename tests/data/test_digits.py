import numpy as np

import keras_kd.data


def test_splits_have_fixed_sizes_and_cover_all_digits_once():
    data = keras_kd.data.digits()
    splits = [data.arrays(split) for split in ("train", "validation", "test")]
    assert [len(labels) for _, labels in splits] == [1077, 360, 360]
    assert [len(data.train), len(data.validation), len(data.test)] == [1077, 360, 360]

    from sklearn.datasets import load_digits

    found = np.concatenate([images for images, _ in splits]).reshape(1797, 64)
    whole = load_digits().data * 255.0 / 16.0
    np.testing.assert_allclose(np.sort(found.sum(axis=1)), np.sort(whole.sum(axis=1)), rtol=1e-6)


def test_images_are_float_in_0_to_255_and_labels_are_integers():
    data = keras_kd.data.digits()
    images, labels = data.arrays("train")
    assert images.dtype == np.float32
    assert labels.dtype == np.int32
    assert images.shape[1:] == data.image_shape == (8, 8, 1)
    assert (images.min(), images.max()) == (0.0, 255.0)
    assert data.num_classes == 10
    assert data.class_names == tuple("0123456789")


def test_every_class_keeps_its_share_in_every_split():
    data = keras_kd.data.digits()
    for split in ("train", "validation", "test"):
        _, labels = data.arrays(split)
        assert np.all(np.abs(np.bincount(labels) / len(labels) - 0.1) < 0.01)


def test_two_loads_give_the_same_split():
    first, second = keras_kd.data.digits(), keras_kd.data.digits()
    for one, other in zip(first.arrays("test"), second.arrays("test"), strict=True):
        np.testing.assert_array_equal(one, other)
