"""The convolutional network for sentences."""

from collections.abc import Sequence

import keras


def text_cnn(
    length: int,
    vocabulary_size: int,
    num_classes: int,
    *,
    width: int = 128,
    filters: int = 100,
    windows: Sequence[int] = (3, 4, 5),
    dropout: float = 0.5,
    name: str = "text_cnn",
) -> keras.Model:
    """Builds the one-layer convolutional network of Kim (2014) over token ids.

    Layers: `embedding`, for each window of `w` tokens a convolution `window{w}` with ReLU and its
    largest value over places `largest{w}`, then `pool` (all of these side by side), `dropout` and
    `logits`. Token 0 is padding, whose vectors are zeros. The logits are float32 under mixed
    precision too.

    Args:
        length: Tokens of a sentence, padding included.
        vocabulary_size: How many ids there are, padding included.
        num_classes: How many logits the model returns.
        width: Size of a token's vector.
        filters: Channels of each convolution.
        windows: How many tokens each convolution sees at a time, `length` at most.
        dropout: Share of the pooled features that is dropped in training.
        name: Name of the model.

    Returns:
        An uncompiled functional model from int32 ids `(batch, length)` to logits
        `(batch, num_classes)`.

    Raises:
        ValueError: If a window is longer than the sentence.

    Example:

    >>> from keras_kd.models import text_cnn
    >>> text_cnn(20, 100, 2, width=4, filters=4).output_shape
    (None, 2)

    Reference: Kim, "Convolutional Neural Networks for Sentence Classification", EMNLP 2014 (there
    with vectors of word2vec; here they are learned).
    """
    if not windows or max(windows) > length:
        raise ValueError(
            "`windows` must be widths of `length` tokens at most. "
            f"Received: windows={tuple(windows)}, length={length}"
        )
    tokens = keras.Input((length,), dtype="int32", name="tokens")
    x = keras.layers.Embedding(vocabulary_size, width, name="embedding")(tokens)
    real = keras.ops.expand_dims(keras.ops.not_equal(tokens, 0), -1)
    x = keras.layers.Multiply(name="unpadded")([x, keras.ops.cast(real, x.dtype)])
    largest = []
    for window in windows:
        y = keras.layers.Conv1D(filters, window, activation="relu", name=f"window{window}")(x)
        largest.append(keras.layers.GlobalMaxPooling1D(name=f"largest{window}")(y))
    x = keras.layers.Concatenate(name="pool")(largest)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    outputs = keras.layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(tokens, outputs, name=name)
