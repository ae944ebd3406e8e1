"""Real handwritten digits that need no download."""

import numpy as np

from keras_kd.data.image_data import ImageData
from keras_kd.lazy_modules import tf


def digits() -> ImageData:
    """Loads the 1,797 handwritten digits that ship with scikit-learn.

    The images are 8x8 with one channel, from 0 to 255. The split is the same on every machine and
    keeps the share of each class: 1,077 to train, 360 to validate, 360 to test.

    Returns:
        The set in three splits.

    Raises:
        ImportError: If scikit-learn is not installed.

    Example:

    >>> from keras_kd.data import digits
    >>> data = digits()
    >>> len(data.train), len(data.validation), len(data.test), data.image_shape
    (1077, 360, 360, (8, 8, 1))

    Reference:
        Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
        Repository, 1998.
    """

    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise ImportError(
            'The digits come with scikit-learn: `pip install "keras_kd[demo]"`.'
        ) from error

    found = load_digits()
    images = (found.images[..., None] * (255.0 / 16.0)).astype("float32")  # stored as 0..16
    labels = found.target.astype("int32")

    rest, test = train_test_split(
        np.arange(len(labels)), test_size=360, stratify=labels, random_state=0
    )
    train, validation = train_test_split(rest, test_size=360, stratify=labels[rest], random_state=0)

    def split(rows):
        return tf.data.Dataset.from_tensor_slices((images[rows], labels[rows]))

    return ImageData(
        name="digits",
        class_names=tuple(str(name) for name in found.target_names),
        image_shape=images.shape[1:],
        train=split(train),
        validation=split(validation),
        test=split(test),
    )
