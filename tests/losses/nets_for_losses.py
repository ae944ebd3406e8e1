"""Small nets on scikit-learn's digits whose layers the losses' tests compare.

Convolutional: `stage1` (B, 8, 8, C), `stage2` and `pre2` (B, 4, 4, C), `pool` (B, C), `logits`.
Of attention: `tokens1`, `tokens2` (B, 8, C), `attention1`, `attention2`, `pool`, `logits`.
Teachers are wider than students; `heads` may differ.
"""

import functools

import keras
from keras import layers

CLASSES = 10


@functools.cache
def _all_digits():
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return (images / 16.0).reshape(-1, 8, 8, 1).astype("float32"), labels.astype("int32")


def digits(count=96):
    """The first images `(count, 8, 8, 1)` in 0 to 1, and labels."""
    images, labels = _all_digits()
    return images[:count], labels[:count]


def convolutional(width, seed, name):
    keras.utils.set_random_seed(seed)
    x = inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(width, 3, padding="same", activation="relu", name="stage1")(x)
    x = layers.Conv2D(2 * width, 3, strides=2, padding="same", use_bias=False, name="conv2")(x)
    x = layers.BatchNormalization(momentum=0.9, name="pre2")(x)
    x = layers.ReLU(name="stage2")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(CLASSES, name="logits")(x), name=name)


def student_net():
    return convolutional(3, seed=5, name="student")


def teacher_net():
    net = convolutional(5, seed=6, name="teacher")
    head = net.get_layer("logits")  # an untrained net hardly tells its classes apart
    head.kernel.assign(8.0 * head.kernel.numpy())
    return net


def attending(width, heads, seed, name, attention=None):
    """A transformer over the 8 rows of an image."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8, 1))
    x = layers.Dense(width, name="embed")(layers.Reshape((8, 8))(inputs))
    for block in (1, 2):
        attend = (attention or layers.MultiHeadAttention)(heads, 4, name=f"attention{block}")
        x = layers.LayerNormalization(name=f"tokens{block}")(x + attend(x, x))
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(CLASSES, name="logits")(x), name=name)


def attending_student_net():
    return attending(6, 2, 5, "student")


def attending_teacher_net():
    return attending(8, 4, 6, "teacher")


NETS = {
    "convolutional": (student_net, teacher_net),
    "attending": (attending_student_net, attending_teacher_net),
}
