"""Images with boxes, and their mirror images."""

from keras_kd.lazy_modules import tf


def mirrored(dataset: "tf.data.Dataset") -> "tf.data.Dataset":
    """Returns each example four times: as it is, left to right, upside down, and both.

    The order is fixed and the length known, so that a `TeacherCache` can label the result; an
    augmentation of the cache itself could not turn the boxes with their image.

    Args:
        dataset: Unbatched, of `(image, {"boxes": boxes, "classes": classes})` as in `BoxData`.

    Example:

    >>> import tensorflow as tf
    >>> from keras_kd.data import mirrored
    >>> target = {"boxes": tf.constant([[[0.0, 0.0, 0.5, 0.25]]]), "classes": tf.constant([[1]])}
    >>> one = tf.data.Dataset.from_tensor_slices((tf.zeros((1, 4, 4, 3)), target))
    >>> [target["boxes"].numpy()[0].tolist() for _, target in mirrored(one)][1]
    [0.0, 0.75, 0.5, 1.0]
    """

    def four(image, objects):
        top, left, bottom, right = tf.unstack(objects["boxes"], axis=-1)
        down, up = (top, bottom), (1.0 - bottom, 1.0 - top)
        ahead, back = (left, right), (1.0 - right, 1.0 - left)
        boxes = [
            tf.stack([rows[0], columns[0], rows[1], columns[1]], axis=-1)
            for rows, columns in ((down, ahead), (down, back), (up, ahead), (up, back))
        ]
        images = [image, image[:, ::-1], image[::-1], image[::-1, ::-1]]
        classes = tf.stack([objects["classes"]] * 4)
        return tf.data.Dataset.from_tensor_slices(
            (tf.stack(images), {"boxes": tf.stack(boxes), "classes": classes})
        )

    size = dataset.cardinality()
    return dataset.flat_map(four).apply(
        tf.data.experimental.assert_cardinality(size * 4 if size >= 0 else size)
    )
