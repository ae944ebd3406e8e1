"""A folder of images as a set in three splits."""

from __future__ import annotations

import os

import numpy as np

from keras_kd.checks import local_path
from keras_kd.data.folder_images import FolderImages
from keras_kd.data.image_data import ImageData
from keras_kd.lazy_modules import tf

_SPLITS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
_LAYOUTS = (
    "A folder with one subfolder of images a class was expected, or one of images without labels, "
    "or one with subfolders 'train', 'validation' (or 'val') and 'test' that are such folders"
)


def image_folder(
    path: str | os.PathLike,
    image_size: tuple[int, int] = (64, 64),
    *,
    channels: int = 3,
) -> ImageData:
    """Reads a folder of images with `keras.utils.image_dataset_from_directory`.

    One subfolder a class, whose labels follow the names in alphabetical order, or images without
    labels. Where subfolders are called `train`, `validation` (or `val`) and `test`, they are the
    splits. A split that is not there is every tenth image of those to train, of every class its
    share: drawn once, alike on every machine, and another where files come or go.

    Images stay files where the decoded ones take more than a GiB. Each is decoded once before this
    returns, so that what is no image is found now.

    Args:
        path: The folder. Nothing in it is changed.
        image_size: `(height, width)` that Keras resizes the images to.
        channels: 1 (grey), 3 (RGB) or 4 (RGBA).

    Returns:
        The set in three splits. Without labels it has no class names, and -1 for every label.

    Raises:
        ValueError: If the folder is none of these, a class or split is empty or has too few images
            for three splits, the splits have other classes, or a file is no image.

    Example:

    ```python
    data = keras_kd.data.image_folder("flowers", (96, 96))
    data.class_names  # ("daisy", "tulip") of flowers/daisy and flowers/tulip
    ```
    """
    folder = local_path("path", path)
    _check_is_folder(folder)
    parts = _named_splits(folder) or {"train": folder}
    read = {name: FolderImages(part, image_size, channels) for name, part in parts.items()}
    train = read["train"]
    _check_alike(read)
    missing = [name for name in ("validation", "test") if name not in read]
    chosen = _carved(train, len(missing))
    splits = {name: images.split() for name, images in read.items()}
    splits |= {
        name: train.split(rows) for name, rows in zip(["train", *missing], chosen, strict=True)
    }
    return ImageData(
        name=folder.resolve().name,
        class_names=train.class_names,
        image_shape=(*image_size, channels),
        **splits,
    )


def _check_is_folder(folder):
    if not folder.exists():
        raise ValueError(f"There is no such folder. {_LAYOUTS}. Received: path='{folder}'")
    if not folder.is_dir():
        raise ValueError(f"{_LAYOUTS}, not a file. Received: path='{folder}'")


def _named_splits(folder):
    """Returns the subfolders by split, or None where they are not called so."""
    names = [part.name for part in folder.iterdir() if part.is_dir() and part.name[0] != "."]
    if "train" not in names or not set(names) <= set(_SPLITS):
        return None
    if {"val", "validation"} <= set(names):
        raise ValueError(
            "One folder to validate on was expected, 'validation' or 'val'. "
            f"Received: path='{folder}' with {sorted(names)}"
        )
    return {_SPLITS[name]: folder / name for name in sorted(names)}


def _check_alike(read):
    wanted = read["train"].class_names
    for name, images in read.items():
        if images.class_names != wanted:
            raise ValueError(
                "All splits must hold the same classes, or all no labels. Received: 'train' with "
                f"{list(wanted) or 'no labels'}, '{name}' with "
                f"{list(images.class_names) or 'no labels'}"
            )


def _carved(images, count):
    """Returns which images train, and then those of each of `count` splits of a tenth."""
    labels = images.labels
    draw = np.random.default_rng(0)
    split_of = np.zeros(len(labels), int)
    for label in np.unique(labels):
        of_class = draw.permutation(np.flatnonzero(labels == label))
        if len(of_class) <= count:
            what = f"class {images.class_names[label]!r}" if label >= 0 else "the folder"
            raise ValueError(
                f"Images for {count + 1} splits were expected, at least one of every class in "
                f"each. Received: {what} with {len(of_class)}"
            )
        tenth = max(1, round(len(of_class) / 10))
        for split in range(1, count + 1):
            split_of[of_class[(split - 1) * tenth : split * tenth]] = split
    return [tf.constant(split_of == split) for split in range(count + 1)]
