"""Any set of tagged words of TensorFlow Datasets, by name."""

import os

from keras_kd.data.tfds_builder import tfds_builder
from keras_kd.data.three_splits import three_splits
from keras_kd.data.token_data import TokenData
from keras_kd.lazy_modules import tfds


def token_classification(name: str, data_dir: str | os.PathLike | None = None) -> TokenData:
    """Loads a set of TensorFlow Datasets whose sentences are words with one tag each.

    A set that is already in `data_dir` is read from there with no network; any other is downloaded
    by TFDS. Splits that a set does not have are made as in `three_splits`.

    Args:
        name: A TFDS name, or that of a set that `data_dir` holds.
        data_dir: The folder TFDS keeps its sets in. None is TFDS' own default.

    Returns:
        The set in three splits, in memory.

    Raises:
        ValueError: If there is no set of that name, if the set holds not exactly one sequence of
            texts and one of class labels an example, or if it has no training split.

    Example:

    >>> data = keras_kd.data.token_classification("wnut17", data_dir)  # doctest: +SKIP
    >>> words, tags = data.train[0]  # doctest: +SKIP
    >>> len(words) == len(tags)  # doctest: +SKIP
    True
    """
    builder = tfds_builder(name, data_dir)
    words_key, tags_key = _keys(builder)
    builder.download_and_prepare()
    train, validation, test = (
        _read(builder, instruction, words_key, tags_key) for instruction in three_splits(builder)
    )
    return TokenData(
        name=name,
        tag_names=tuple(builder.info.features[tags_key].feature.names),
        train=train,
        validation=validation,
        test=test,
    )


def _keys(builder):
    """Finds the words and the tags among the features of one example."""

    features = builder.info.features
    top = dict(features.items()) if hasattr(features, "items") else {}
    inner = {key: getattr(value, "feature", None) for key, value in top.items()}
    words = [key for key, value in inner.items() if isinstance(value, tfds.features.Text)]
    tags = [key for key, value in inner.items() if isinstance(value, tfds.features.ClassLabel)]
    if len(words) != 1 or len(tags) != 1:
        raise ValueError(
            "A set of tagged words was expected: one sequence of texts and one of class labels an "
            f"example. Received: name={builder.name!r}, whose features are {features}"
        )
    return words[0], tags[0]


def _read(builder, instruction, words_key, tags_key):
    examples = builder.as_dataset(split=instruction, shuffle_files=False).as_numpy_iterator()
    return tuple(
        (
            tuple(word.decode("utf-8") for word in example[words_key]),
            tuple(int(tag) for tag in example[tags_key]),
        )
        for example in examples
    )
