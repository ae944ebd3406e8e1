"""What sets of one input and one class label an example have in common."""

import numpy as np


class LabelledSplits:
    """Base of the dataclasses that hold `class_names` and the splits `train`, `validation`, `test`.

    Each split is an unbatched `tf.data.Dataset` of `(x, label)` of known length.
    """

    class_names: tuple[str, ...]

    @property
    def num_classes(self) -> int:
        """How many classes the labels tell apart."""
        return len(self.class_names)

    def arrays(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Reads a whole split into memory.

        Args:
            split: `"train"`, `"validation"` or `"test"`.

        Returns:
            Inputs of shape `(n, ...)`, texts as bytes in an array of objects, and labels of shape
            `(n,)`, in the split's order.

        Raises:
            ValueError: If there is no such split.
        """
        if split not in ("train", "validation", "test"):
            raise ValueError(
                f"`split` must be 'train', 'validation' or 'test'. Received: split={split!r}"
            )
        dataset = getattr(self, split)
        x, labels = next(dataset.batch(len(dataset)).as_numpy_iterator())
        return x, labels
