"""What every set of recordings looks like here."""

import dataclasses

from keras_kd.data.labelled_splits import LabelledSplits
from keras_kd.lazy_modules import tf


@dataclasses.dataclass(frozen=True)
class AudioData(LabelledSplits):
    """An audio-classification set in three disjoint splits.

    Each split is an unbatched `tf.data.Dataset` of `(samples, label)`, in a fixed order and of
    known length. Samples are float32 `(length,)` in -1..1, labels int32 scalars in
    0..`num_classes - 1`.

    Args:
        name: What the set is called.
        class_names: The name of each class, by label.
        sampling_rate: Samples a second.
        length: Samples of each recording, padding included.
        train: Examples to learn from.
        validation: Examples to choose settings by; never part of `train`.
        test: Examples to measure on, once.

    Example:

    >>> data = keras_kd.data.spoken_digits()  # doctest: +SKIP
    >>> data.sampling_rate, data.length, len(data.train)  # doctest: +SKIP
    (8000, 8000, 2400)
    """

    name: str
    class_names: tuple[str, ...]
    sampling_rate: int
    length: int
    train: "tf.data.Dataset"
    validation: "tf.data.Dataset"
    test: "tf.data.Dataset"
