"""Folders of images, as users have them."""

import keras
import numpy as np
import pytest

import keras_kd.data
from keras_kd.data import image_folder, in_class_order


def picture(path, value, size=(6, 5)):
    path.parent.mkdir(parents=True, exist_ok=True)
    keras.utils.save_img(path, np.full((*size, 3), value), scale=False)


def filled(folder, *names, count=10, first=0):
    """Every image has a grey of its own, by which it is known again."""
    for place, name in enumerate(names):
        for number in range(count):
            picture(folder / name / f"{number:02}.png", first + place * count + number)
    return folder


def greys(data, split):
    return {int(value) for value in data.arrays(split)[0][:, 0, 0, 0]}


@pytest.fixture(scope="module")
def animals(tmp_path_factory):
    return filled(tmp_path_factory.mktemp("pictures"), "cat", "dog", count=20)


def test_subfolders_are_classes_and_every_class_is_in_every_split(animals):
    data = image_folder(animals, (4, 8))
    assert data.class_names == ("cat", "dog") and data.image_shape == (4, 8, 3)
    assert [len(split) for split in (data.train, data.validation, data.test)] == [32, 4, 4]
    for split in ("train", "validation", "test"):
        images, labels = data.arrays(split)
        assert images.dtype == np.float32 and labels.dtype == np.int32
        assert np.all(images == images[:, :1, :1, :1])
        np.testing.assert_array_equal(labels, images[:, 0, 0, 0] >= 20)  # a dog's greys
        assert np.bincount(labels)[0] == np.bincount(labels)[1]
    parts = [greys(data, split) for split in ("train", "validation", "test")]
    assert sum(map(len, parts)) == 40 and set.union(*parts) == set(range(40))


def test_two_reads_give_one_split_in_one_order(animals):
    one, other = image_folder(animals, (2, 2)), image_folder(animals, (2, 2))
    np.testing.assert_array_equal(one.arrays("train")[0], other.arrays("train")[0])


def test_more_than_fits_in_memory_is_read_from_the_files_and_is_the_same(animals, monkeypatch):
    kept = image_folder(animals, (2, 2), channels=1)
    monkeypatch.setattr(keras_kd.data.folder_images, "_LARGEST_CACHE", 0)
    read = image_folder(animals, (2, 2), channels=1)
    for one, other in zip(kept.arrays("test"), read.arrays("test"), strict=True):
        np.testing.assert_array_equal(one, other)
    assert kept.image_shape == (2, 2, 1)


def test_images_without_labels(tmp_path):
    data = image_folder(filled(tmp_path, "", count=20), (3, 3))
    assert data.class_names == () and data.num_classes == 0
    assert [len(split) for split in (data.train, data.validation, data.test)] == [16, 2, 2]
    assert set(data.arrays("train")[1]) == {-1}


@pytest.mark.parametrize(
    ("names", "sizes"),
    [
        (("train", "val", "test"), (20, 20, 20)),
        (("train", "validation"), (18, 20, 2)),
        (("train", "test"), (18, 2, 20)),
        (("train",), (16, 2, 2)),
    ],
)
def test_subfolders_called_as_splits_are_the_splits(tmp_path, names, sizes):
    for place, name in enumerate(names):
        filled(tmp_path / name, "cat", "dog", first=30 * place)
    data = image_folder(tmp_path, (2, 2))
    assert data.class_names == ("cat", "dog")
    assert tuple(len(split) for split in (data.train, data.validation, data.test)) == sizes
    assert max(greys(data, "train")) < 30
    if "test" in names:
        assert min(greys(data, "test")) == 30 * names.index("test")


def bad(folder, kind):
    """Makes a folder that cannot be used; returns it."""
    if kind == "file":
        picture(folder / "image.png", 1)
        return folder / "image.png"
    if kind in ("empty class", "one class", "few", "broken", "beside"):
        filled(folder, *(["cat"] if kind == "one class" else ["cat", "dog"]), count=3)
    if kind == "empty class":
        (folder / "emu").mkdir()
    if kind == "few":
        (folder / "cat" / "00.png").unlink()
    if kind == "broken":
        (folder / "dog" / "01.png").write_bytes(b"no image")
    if kind == "beside":
        picture(folder / "one.png", 1)
    if kind == "other classes":
        filled(folder / "train", "cat", "dog")
        filled(folder / "test", "cat", "emu")
    return folder / "nowhere" if kind == "missing" else folder


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", "no such folder"),
        ("file", "not a file"),
        ("nothing", "No images were found"),
        ("empty class", r"none in \['emu'\]"),
        ("one class", r"Two classes or more.*\['cat'\] alone"),
        ("few", "class 'cat' with 2"),
        ("broken", r"no image that can be read.*dog.01\.png"),
        ("beside", r"images beside the folders \['cat', 'dog'\]"),
        ("other classes", r"'test' with \['cat', 'emu'\]"),
    ],
)
def test_what_is_no_such_folder_is_told_in_words(tmp_path, kind, said):
    with pytest.raises(ValueError, match=said):
        image_folder(bad(tmp_path, kind), (2, 2))


def test_channels_are_those_of_images(animals):
    with pytest.raises(ValueError, match=r"Received: channels=2"):
        image_folder(animals, channels=2)


def test_labels_follow_the_order_that_a_model_knows(animals):
    data = in_class_order(image_folder(animals, (2, 2)), ["dog", "cat"])
    images, labels = data.arrays("test")
    assert data.class_names == ("dog", "cat")
    np.testing.assert_array_equal(labels, images[:, 0, 0, 0] < 20)
    assert len(data.train) == 32


@pytest.mark.parametrize("names", [["dog", "emu"], ["dog", "cat", "cat"], ["dog"]])
def test_other_classes_than_the_data_have_are_refused(animals, names):
    with pytest.raises(ValueError, match="class names must be those of the data"):
        in_class_order(image_folder(animals, (2, 2)), names)
