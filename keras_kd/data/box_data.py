"""What every set of images with boxes looks like here."""

import dataclasses

from keras_kd.lazy_modules import tf


@dataclasses.dataclass(frozen=True)
class BoxData:
    """Images with boxes around their objects, in three disjoint splits.

    Each split is an unbatched `tf.data.Dataset` of `(image, {"boxes": boxes, "classes": classes})`,
    in a fixed order and of known length. Images are float32 of `image_shape` in 0..255. An image
    with n objects has float32 boxes `(n, 4)`, `(top, left, bottom, right)` as shares of its height
    and width, and int32 classes `(n,)` in 0..`num_classes - 1`.

    Args:
        name: What the set is called.
        class_names: The name of each class, by number.
        image_shape: `(height, width, channels)`.
        train: Examples to learn from.
        validation: Examples to choose settings by; never part of `train`.
        test: Examples to measure on, once.

    Example:

    >>> image, target = next(iter(keras_kd.data.blood_cells().train))  # doctest: +SKIP
    >>> image.shape, target["boxes"].shape[1]  # doctest: +SKIP
    (TensorShape([192, 256, 3]), 4)
    """

    name: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    train: "tf.data.Dataset"
    validation: "tf.data.Dataset"
    test: "tf.data.Dataset"

    @property
    def num_classes(self) -> int:
        """How many classes of objects there are; background is none of them."""
        return len(self.class_names)
