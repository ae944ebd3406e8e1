"""Any image-classification set of TensorFlow Datasets, by name."""

import math
import os

from keras_kd.data.image_data import ImageData
from keras_kd.data.tfds_builder import tfds_builder
from keras_kd.data.three_splits import three_splits
from keras_kd.data.whole_data import cached
from keras_kd.lazy_modules import tf, tfds

_LARGEST_CACHE = 2**30  # bytes of one split that are kept decoded in memory


def image_classification(
    name: str,
    data_dir: str | os.PathLike | None = None,
    *,
    image_size: tuple[int, int] = (64, 64),
) -> ImageData:
    """Loads an image-classification set of TensorFlow Datasets.

    A set that is already in `data_dir` is read from there with no network; any other is downloaded
    by TFDS. Splits that a set does not have are made as in `three_splits`.

    Args:
        name: A TFDS name, such as `"mnist"` or `"oxford_flowers102"`; `"name/config"` picks one
            configuration.
        data_dir: The folder TFDS keeps its sets in. None is TFDS' own default.
        image_size: `(height, width)` that images are resized to where their size varies from
            example to example. Images of one fixed size stay as they are.

    Returns:
        The set in three splits.

    Raises:
        ValueError: If there is no set of that name, if the set holds not exactly one image of 8
            bits and one class label an example, or if it has no training split.

    Example:

    >>> data = keras_kd.data.image_classification("mnist")  # doctest: +SKIP
    >>> data.image_shape, data.num_classes  # doctest: +SKIP
    ((28, 28, 1), 10)
    """
    builder = tfds_builder(name, data_dir)
    image_key, label_key = _keys(builder)
    builder.download_and_prepare()

    image_shape = builder.info.features[image_key].shape
    resize = None in image_shape[:2]
    if resize:
        image_shape = (*image_size, image_shape[-1])

    def load(instruction):
        return _read(builder, instruction, (image_key, label_key), image_shape, resize)

    train, validation, test = (load(instruction) for instruction in three_splits(builder))
    return ImageData(
        name=name,
        class_names=tuple(builder.info.features[label_key].names),
        image_shape=tuple(image_shape),
        train=train,
        validation=validation,
        test=test,
    )


def _keys(builder) -> tuple[str, str]:
    """Finds the image and the label among the features of one example."""

    features = builder.info.features
    top = dict(features.items()) if hasattr(features, "items") else {}
    images = [key for key, value in top.items() if isinstance(value, tfds.features.Image)]
    labels = [key for key, value in top.items() if isinstance(value, tfds.features.ClassLabel)]
    supervised = builder.info.supervised_keys
    if supervised and supervised[0] in images and supervised[1] in labels:
        images, labels = [supervised[0]], [supervised[1]]
    if len(images) != 1 or len(labels) != 1 or top[images[0]].dtype != "uint8":
        raise ValueError(
            "An image-classification set was expected: one image of 8 bits and one class label an "
            f"example. Received: name={builder.name!r}, whose features are {features}"
        )
    return images[0], labels[0]


def _read(builder, instruction, keys, image_shape, resize):

    image_key, label_key = keys

    def pick(example):
        image = example[image_key]
        if resize:
            image = tf.image.resize(image, image_shape[:2], antialias=True)
            image = tf.cast(tf.round(image), tf.uint8)
        return tf.ensure_shape(image, image_shape), tf.cast(example[label_key], tf.int32)

    dataset = builder.as_dataset(split=instruction, shuffle_files=False)
    dataset = dataset.map(pick, num_parallel_calls=tf.data.AUTOTUNE)
    size = builder.info.splits[instruction].num_examples
    if size * math.prod(image_shape) <= _LARGEST_CACHE:
        dataset = cached(dataset, size)  # decoded once, not once an epoch; 8 bits a value, not 32
    dataset = dataset.map(lambda image, label: (tf.cast(image, tf.float32), label))
    return dataset.apply(tf.data.experimental.assert_cardinality(size))
