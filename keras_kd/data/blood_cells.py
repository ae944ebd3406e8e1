"""Blood cells with boxes, seen through a microscope."""

import os

from keras_kd.data.box_data import BoxData
from keras_kd.data.whole_data import cached
from keras_kd.lazy_modules import tf, tfds


def blood_cells(
    data_dir: str | os.PathLike | None = None, *, image_size: tuple[int, int] = (192, 256)
) -> BoxData:
    """Loads BCCD: 364 images of red cells, white cells and platelets, 205 of them to train.

    Its annotators left some cells out, mostly red ones and those that the border cuts.

    Args:
        data_dir: The folder TFDS keeps its sets in; without the set there, TFDS downloads it. None
            is TFDS' own default.
        image_size: `(height, width)` that the images of 480x640 are reduced to.

    Returns:
        The set in its own three splits of 205, 87 and 72 images.

    Example:

    >>> data = keras_kd.data.blood_cells()  # doctest: +SKIP
    >>> len(data.train), len(data.validation), len(data.test)  # doctest: +SKIP
    (205, 87, 72)

    Reference: BCCD, github.com/Shenggan/BCCD_Dataset, 2017 (MIT licence).
    """

    builder = tfds.builder("bccd", data_dir=data_dir)
    builder.download_and_prepare()

    def pick(example):
        image = tf.image.resize(example["image"], image_size, antialias=True)
        found = example["objects"]
        return image, {"boxes": found["bbox"], "classes": tf.cast(found["label"], tf.int32)}

    def split(name):
        dataset = builder.as_dataset(split=name, shuffle_files=False)
        dataset = dataset.map(pick, num_parallel_calls=tf.data.AUTOTUNE)
        return cached(dataset, builder.info.splits[name].num_examples)

    names = builder.info.features["objects"].feature["label"].names
    return BoxData(
        name="bccd",
        class_names=tuple(names),
        image_shape=(*image_size, 3),
        train=split("train"),
        validation=split("validation"),
        test=split("test"),
    )
