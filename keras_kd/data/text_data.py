"""What every text-classification set looks like here, wherever it comes from."""

import dataclasses

from keras_kd.data.labelled_splits import LabelledSplits
from keras_kd.lazy_modules import tf


@dataclasses.dataclass(frozen=True)
class TextData(LabelledSplits):
    """A text-classification set in three disjoint splits.

    Each split is an unbatched `tf.data.Dataset` of `(text, label)`, in a fixed order and of known
    length: `len(data.train)` examples. Texts are scalar strings as their set has them, UTF-8 and
    not cut into tokens; labels are int32 scalars in 0..`num_classes - 1`.

    Args:
        name: What the set is called.
        class_names: The name of each class, by label.
        train: Examples to learn from.
        validation: Examples to choose settings by; never part of `train`.
        test: Examples to measure on, once.

    Example:

    ```python
    data = keras_kd.data.text_classification("sst2_sentences", data_dir)
    words = keras.layers.TextVectorization(8000, output_sequence_length=40)
    words.adapt(data.arrays("train")[0])
    ```
    """

    name: str
    class_names: tuple[str, ...]
    train: "tf.data.Dataset"
    validation: "tf.data.Dataset"
    test: "tf.data.Dataset"
