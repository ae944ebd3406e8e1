import numpy as np
import tensorflow as tf

from keras_kd.data import mirrored


def painted(boxes, size=(8, 12)):
    """An image that is 1 in its boxes."""
    image = np.zeros((*size, 1), "float32")
    for top, left, bottom, right in np.round(boxes * [*size, *size]).astype(int):
        image[top:bottom, left:right] = 1.0
    return image


def examples(*of_boxes):
    def generate():
        for boxes in of_boxes:
            boxes = np.asarray(boxes, "float32").reshape(-1, 4)
            objects = {"boxes": boxes, "classes": np.arange(len(boxes), dtype="int32")}
            yield painted(boxes), objects

    signature = (
        tf.TensorSpec((8, 12, 1), tf.float32),
        {
            "boxes": tf.TensorSpec((None, 4), tf.float32),
            "classes": tf.TensorSpec((None,), tf.int32),
        },
    )
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    return dataset.apply(tf.data.experimental.assert_cardinality(len(of_boxes)))


ONE = [[0.0, 0.0, 0.25, 0.5], [0.5, 0.75, 1.0, 1.0]]


def test_boxes_turn_with_their_image():
    dataset = mirrored(examples(ONE, [], ONE[:1]))
    assert len(dataset) == 12
    found = list(dataset.as_numpy_iterator())
    assert len(found) == 12
    for image, objects in found:
        np.testing.assert_array_equal(painted(objects["boxes"]), image)
    for _, objects in found[:4]:
        np.testing.assert_array_equal(objects["classes"], [0, 1])
    assert len({image.tobytes() for image, _ in found[:4]}) == 4


def test_the_first_of_the_four_is_the_image_as_it_is():
    image, objects = next(mirrored(examples(ONE)).as_numpy_iterator())
    np.testing.assert_array_equal(image, painted(np.array(ONE)))
    np.testing.assert_allclose(objects["boxes"], ONE)
