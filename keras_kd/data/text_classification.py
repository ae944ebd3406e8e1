"""Any text-classification set of TensorFlow Datasets, by name."""

import os

from keras_kd.data.text_data import TextData
from keras_kd.data.tfds_builder import tfds_builder
from keras_kd.data.three_splits import three_splits
from keras_kd.data.whole_data import cached
from keras_kd.lazy_modules import tf, tfds


def text_classification(name: str, data_dir: str | os.PathLike | None = None) -> TextData:
    """Loads a text-classification set of TensorFlow Datasets, as raw strings.

    A set that is already in `data_dir` is read from there with no network; any other is downloaded
    by TFDS. Splits that a set does not have are made as in `three_splits`: without a validation
    split, the last tenth of the training split validates.

    Args:
        name: A TFDS name, such as `"imdb_reviews"`, or that of a set that `data_dir` holds;
            `"name/config"` picks one configuration.
        data_dir: The folder TFDS keeps its sets in. None is TFDS' own default.

    Returns:
        The set in three splits.

    Raises:
        ValueError: If there is no set of that name, if the set holds not exactly one text and one
            class label an example, or if it has no training split.

    Example:

    >>> data = keras_kd.data.text_classification("imdb_reviews")  # doctest: +SKIP
    >>> text, label = next(iter(data.train))  # doctest: +SKIP
    >>> text.dtype, data.class_names  # doctest: +SKIP
    (tf.string, ('neg', 'pos'))
    """
    builder = tfds_builder(name, data_dir)
    text_key, label_key = _keys(builder)
    builder.download_and_prepare()
    train, validation, test = (
        _read(builder, instruction, text_key, label_key) for instruction in three_splits(builder)
    )
    return TextData(
        name=name,
        class_names=tuple(builder.info.features[label_key].names),
        train=train,
        validation=validation,
        test=test,
    )


def _keys(builder) -> tuple[str, str]:
    """Finds the text and the label among the features of one example."""

    features = builder.info.features
    top = dict(features.items()) if hasattr(features, "items") else {}
    texts = [key for key, value in top.items() if isinstance(value, tfds.features.Text)]
    labels = [key for key, value in top.items() if isinstance(value, tfds.features.ClassLabel)]
    supervised = builder.info.supervised_keys
    if supervised and supervised[0] in texts and supervised[1] in labels:
        texts, labels = [supervised[0]], [supervised[1]]
    if len(texts) != 1 or len(labels) != 1:
        raise ValueError(
            "A text-classification set was expected: one text and one class label an example. "
            f"Received: name={builder.name!r}, whose features are {features}"
        )
    return texts[0], labels[0]


def _read(builder, instruction, text_key, label_key):

    def pick(example):
        return example[text_key], tf.cast(example[label_key], tf.int32)

    dataset = builder.as_dataset(split=instruction, shuffle_files=False)
    size = builder.info.splits[instruction].num_examples
    return cached(dataset.map(pick), size)
