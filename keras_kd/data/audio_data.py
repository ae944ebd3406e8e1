"""What every set of recordings looks like here."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class AudioData:
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
    """

    name: str
    class_names: tuple[str, ...]
    sampling_rate: int
    length: int
    train: "tf.data.Dataset"
    validation: "tf.data.Dataset"
    test: "tf.data.Dataset"

    @property
    def num_classes(self) -> int:
        """How many classes the labels tell apart."""
        return len(self.class_names)

    def arrays(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Reads a whole split into memory.

        Args:
            split: `"train"`, `"validation"` or `"test"`.

        Returns:
            Samples of shape `(n, length)` and labels of shape `(n,)`, in the split's order.

        Raises:
            ValueError: If there is no such split.
        """
        if split not in ("train", "validation", "test"):
            raise ValueError(
                f"`split` must be 'train', 'validation' or 'test'. Received: split={split!r}"
            )
        dataset = getattr(self, split)
        samples, labels = next(dataset.batch(len(dataset)).as_numpy_iterator())
        return samples, labels
