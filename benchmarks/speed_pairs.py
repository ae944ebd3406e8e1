"""The pairs of models whose training is timed, and their data."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from keras_kd.data import image_classification
from keras_kd.models import mlp, resnet, wide_resnet

WORDS, LENGTH = 5_000, 32


@dataclasses.dataclass(frozen=True)
class Pair:
    """A teacher and a student on one data set.

    Attributes:
        name: For the heading.
        load: `load(count, data_dir)` gives the first training examples as arrays `(x, y)`.
        teacher: Makes the teacher. Its weights do not matter: only time is measured.
        student: Makes the student.
        layer: `(student's, teacher's)` layer for the row with a feature loss.
        examples: Training examples of the whole set, for the times of whole trainings.
        steps: Steps of an epoch as it is timed: a second or more.
        augment: `f(x, seed)` for the row with views, or None.
    """

    name: str
    load: object
    teacher: object
    student: object
    layer: tuple
    examples: int
    steps: int
    augment: object = None


def flip_and_shift(image, seed):
    """The usual augmentation of CIFAR-10: a mirror image or not, four pixels to any side."""
    image = tf.image.stateless_random_flip_left_right(image, seed)
    padded = tf.pad(image, [[4, 4], [4, 4], [0, 0]])
    return tf.image.stateless_random_crop(padded, tf.shape(image), seed)


def images(name):
    def load(count, data_dir):
        data = image_classification(name, data_dir)
        return next(data.train.batch(count).as_numpy_iterator())

    return load


def sentences(count, data_dir):
    import tensorflow_datasets as tfds

    data = tfds.load("sst2_sentences", split="train", data_dir=data_dir)
    batch = next(data.batch(count).as_numpy_iterator())
    text, label = batch["sentence"], batch["label"]
    words = keras.layers.TextVectorization(WORDS, output_sequence_length=LENGTH)
    words.adapt(text)
    return np.asarray(words(text), "int32"), label


def transformer(width=128, depth=4, heads=4):
    """A text classifier of post-norm transformer blocks."""
    tokens = keras.Input((LENGTH,), dtype="int32", name="tokens")
    x = keras.layers.Embedding(WORDS, width)(tokens)
    x = x + keras.layers.Embedding(LENGTH, width)(np.arange(LENGTH))
    for _ in range(depth):
        attended = keras.layers.MultiHeadAttention(heads, width // heads)(x, x)
        x = keras.layers.LayerNormalization()(x + attended)
        inner = keras.layers.Dense(4 * width, "gelu")(x)
        x = keras.layers.LayerNormalization()(x + keras.layers.Dense(width)(inner))
    x = keras.layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(tokens, keras.layers.Dense(2, name="logits")(x), name="teacher")


def bilstm(width=64):
    """A text classifier of one bidirectional LSTM, as wide as the transformer."""
    tokens = keras.Input((LENGTH,), dtype="int32", name="tokens")
    x = keras.layers.Embedding(WORDS, width)(tokens)
    x = keras.layers.Bidirectional(keras.layers.LSTM(width), name="pool")(x)
    return keras.Model(tokens, keras.layers.Dense(2, name="logits")(x), name="student")


def deep_resnet():
    """ResNet-56 whose logits fit half precision, which without training they would not."""
    model = resnet((32, 32, 3), 10, depth=56, name="teacher")
    logits = model.get_layer("logits")
    logits.set_weights([1e-4 * weight for weight in logits.get_weights()])
    return model


def small_resnet():
    return resnet((32, 32, 3), 10, depth=8, name="student")


def without_autotune(data):
    """Leaves the pipeline as it is: an epoch may else end with a wait as long as the epoch.

    tf.data's autotuner sleeps for twice as long each time (10 ms, 20 ms, ...), and an iterator that
    ends now and then waits for it.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.with_options(options)


class AttentionTransfer(keras.losses.Loss):
    """Zagoruyko and Komodakis' loss for Keras' distiller, as `keras_kd.losses.ATLoss` has it."""

    def call(self, y_true, y_pred):
        """Compares the normalised attention maps of teacher and student."""
        maps = []
        for value in (y_true, y_pred):
            value = keras.ops.mean(keras.ops.square(value), axis=-1)
            value = keras.ops.reshape(value, (keras.ops.shape(value)[0], -1))
            maps.append(keras.ops.normalize(value, axis=-1))
        return keras.ops.mean(keras.ops.square(maps[0] - maps[1]), axis=-1)


PAIRS = {
    "wrn": Pair(
        "WRN-16-2 to ResNet-8 on CIFAR-10",
        images("cifar10"),
        lambda: wide_resnet((32, 32, 3), 10, depth=16, widen=2, name="teacher"),
        small_resnet,
        ("stage3", "stage3"),
        50_000,
        24,
        flip_and_shift,
    ),
    "resnet56": Pair(
        "ResNet-56 to ResNet-8 on CIFAR-10",
        images("cifar10"),
        deep_resnet,
        small_resnet,
        ("stage3", "stage3"),
        50_000,
        24,
        flip_and_shift,
    ),
    "mlp": Pair(
        "MLP 1200-1200 to MLP 100-100 on MNIST",
        images("mnist"),
        lambda: mlp((28, 28, 1), 10, hidden=(1200, 1200), name="teacher"),
        lambda: mlp((28, 28, 1), 10, hidden=(100, 100), name="student"),
        ("logits", "logits"),
        60_000,
        1_000,
        flip_and_shift,
    ),
    "text": Pair(
        "Transformer of 4 blocks to BiLSTM on sst2_sentences",
        sentences,
        transformer,
        bilstm,
        ("pool", "pool"),
        6_920,
        60,
    ),
}
