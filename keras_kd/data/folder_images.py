"""The images of one folder, each of them readable."""

import math
import os

import keras
import numpy as np

from keras_kd.data.whole_data import cached
from keras_kd.lazy_modules import tf

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")  # what Keras reads
_LARGEST_CACHE = 2**30  # bytes of decoded images that are kept in memory
_COLORS = {1: "grayscale", 3: "rgb", 4: "rgba"}


class FolderImages:
    """The images of a folder: each class in the order of its names, classes in a drawn one.

    Args:
        folder: A `pathlib.Path`: one subfolder a class, or images alone.
        image_size: `(height, width)`.
        channels: 1, 3 or 4.

    Attributes:
        class_names: The subfolders' names, none where there are no labels.
        labels: int32 of shape `(n,)`; -1 where there are none.

    Raises:
        ValueError: If the folder holds no images, classes and images beside them, or a file that
            is no image.
    """

    def __init__(self, folder, image_size, channels):
        if channels not in _COLORS:
            raise ValueError(
                f"`channels` must be 1 (grey), 3 (RGB) or 4 (RGBA). Received: channels={channels!r}"
            )
        self.class_names = _class_names(folder)
        parts = [
            keras.utils.image_dataset_from_directory(
                folder / name,
                labels=None,
                color_mode=_COLORS[channels],
                image_size=tuple(image_size),
                batch_size=None,
                shuffle=False,
                verbose=False,
            )
            for name in self.class_names or ("",)
        ]
        counts = [len(part.file_paths) for part in parts]
        # Classes one after the other would be batches of one class where images stay files.
        turns = np.random.default_rng(0).permutation(np.repeat(np.arange(len(parts)), counts))
        files = [iter(part.file_paths) for part in parts]
        self.files = [next(files[turn]) for turn in turns]
        self.labels = turns.astype(np.int32) if self.class_names else np.full(counts, -1, np.int32)
        images = _labelled(parts, turns) if self.class_names else parts[0].map(lambda x: (x, -1))
        size = math.prod((*image_size, channels))

        def pack(image, label):  # 8 bits a value, not 32
            return tf.cast(tf.round(image), tf.uint8), tf.cast(label, tf.int32)

        images = images.map(pack, num_parallel_calls=tf.data.AUTOTUNE)
        if len(self.files) * size <= _LARGEST_CACHE:
            images = cached(images, len(self.files))
        self._images = images
        self._read_all()

    def split(self, rows=None):
        """Returns the images, or those of `rows`, a tensor of bools, as `ImageData` holds them."""
        images, count = self._images, len(self.files)
        if rows is not None:
            count = int(np.count_nonzero(rows))
            images = images.enumerate().filter(lambda number, _: rows[number])
            images = images.map(lambda _, example: example)
        images = images.map(lambda image, label: (tf.cast(image, tf.float32), label))
        return images.apply(tf.data.experimental.assert_cardinality(count))

    def _read_all(self):
        count = 0
        try:
            for _ in self._images:
                count += 1
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(
                "A file is no image that can be read: mend it, or take it out of the folder. "
                f"Received: '{self.files[count]}' ({str(error).splitlines()[0][:200]})"
            ) from None


def _labelled(parts, turns):
    """Returns images and labels, the class by its turn."""
    named = [part.map(lambda x, label=label: (x, label)) for label, part in enumerate(parts)]
    turns = tf.data.Dataset.from_tensor_slices(turns.astype(np.int64))
    return tf.data.Dataset.choose_from_datasets(named, turns, stop_on_empty_dataset=False)


def _class_names(folder):
    """Returns the names of the subfolders, each of which holds images; none beside images."""
    inside = sorted(path for path in folder.iterdir() if path.name[0] != ".")
    folders = [path for path in inside if path.is_dir()]
    if any(path.suffix.lower() in SUFFIXES for path in inside if path.is_file()):
        if folders:
            raise ValueError(
                "Images in subfolders, one a class, or images alone were expected. Received: "
                f"'{folder}' with images beside the folders {_names(folders)}"
            )
        return ()
    if not folders:
        raise ValueError(
            f"No images were found: files that end in {', '.join(SUFFIXES)} were expected. "
            f"Received: '{folder}'"
        )
    empty = [path for path in folders if not _holds_images(path)]
    if empty:
        raise ValueError(
            f"Every class must have images, files that end in {', '.join(SUFFIXES)}. Received: "
            f"'{folder}', where there are none in {_names(empty)}"
        )
    if len(folders) < 2:
        raise ValueError(
            "Two classes or more were expected, a subfolder each. "
            f"Received: '{folder}' with {_names(folders)} alone"
        )
    return tuple(path.name for path in folders)


def _holds_images(folder):
    return any(name.lower().endswith(SUFFIXES) for _, _, names in os.walk(folder) for name in names)


def _names(folders):
    return [path.name for path in folders][:8]
