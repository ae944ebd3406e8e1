"""The labels of a set in the order in which a model knows the classes."""

import dataclasses
from collections.abc import Sequence

from keras_kd.data.image_data import ImageData
from keras_kd.lazy_modules import tf


def in_class_order(data: ImageData, class_names: Sequence[str]) -> ImageData:
    """Returns the same examples with their classes in another order.

    A model's outputs have the order of the data that it was trained on; a folder's classes have
    that of the alphabet.

    Args:
        data: The set.
        class_names: Its class names in the order that is wanted.

    Raises:
        ValueError: If the names are not those of the set, each once.

    Example:

    ```python
    data = in_class_order(data, ["tulip", "daisy"])  # label 0 is a tulip now
    ```
    """
    names = tuple(class_names)
    if names == data.class_names:
        return data
    if sorted(names) != sorted(data.class_names):
        raise ValueError(
            "The class names must be those of the data, each once, in another order at most. "
            f"Missing: {sorted(set(data.class_names) - set(names))}, not in the data: "
            f"{sorted(set(names) - set(data.class_names))}. Received: {list(names)}, "
            f"the data have {list(data.class_names)}"
        )
    new_labels = tf.constant([names.index(name) for name in data.class_names], tf.int32)

    def reordered(split):
        return split.map(lambda x, label: (x, new_labels[label]))

    return dataclasses.replace(
        data,
        class_names=names,
        train=reordered(data.train),
        validation=reordered(data.validation),
        test=reordered(data.test),
    )
