"""What every image-classification set looks like here, wherever it comes from."""

import dataclasses

from keras_kd.data.labelled_splits import LabelledSplits
from keras_kd.lazy_modules import tf


@dataclasses.dataclass(frozen=True)
class ImageData(LabelledSplits):
    """An image-classification set in three disjoint splits.

    Each split is an unbatched `tf.data.Dataset` of `(image, label)`, in a fixed order and of known
    length: `len(data.train)` examples. Images are float32 of `image_shape` in 0..255, labels int32
    scalars in 0..`num_classes - 1`; a set without labels has no class names, and -1 for each.

    Args:
        name: What the set is called.
        class_names: The name of each class, by label.
        image_shape: `(height, width, channels)`.
        train: Examples to learn from.
        validation: Examples to choose settings by; never part of `train`.
        test: Examples to measure on, once.

    Example:

    ```python
    data = keras_kd.data.digits()
    student.fit(data.train.shuffle(len(data.train)).batch(32))
    x_test, y_test = data.arrays("test")
    ```
    """

    name: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    train: "tf.data.Dataset"
    validation: "tf.data.Dataset"
    test: "tf.data.Dataset"
