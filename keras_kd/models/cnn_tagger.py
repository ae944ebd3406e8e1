"""A convolutional network that tags words."""

import keras

from keras_kd.models.embedded_words import embedded_words
from keras_kd.models.masked_conv1d import MaskedConv1D


def cnn_tagger(
    sizes: dict[str, int],
    num_tags: int,
    *,
    width: int = 64,
    feature_width: int = 16,
    filters: int = 128,
    depth: int = 3,
    dropout: float = 0.3,
    name: str = "cnn_tagger",
) -> keras.Model:
    """Builds a stack of convolutions over words, dilated 1, 2, 4, ..., with logits for each word.

    Layers: an embedding for each input (`words_embedding`, ...), `embedding` (all of them side by
    side, where there are several), `embedding_drop`, convolutions of three words with ReLU
    `conv1`, ..., whose sums with what went in are `tokens2`, ... from the second one on, then
    `tokens_drop` and `logits`. Number 0 is padding, which the convolutions see as zeros; the logits
    carry its mask to losses and metrics, so that padding changes nothing. The logits are float32
    under mixed precision too.

    Args:
        sizes: `{input: how many numbers it has}`, as in `keras_kd.data.WordNumbers.sizes`. The
            first input is the words.
        num_tags: How many logits a word has.
        width: Size of a word's vector.
        feature_width: Size of the vector of each further input.
        filters: Channels of each convolution.
        depth: How many convolutions.
        dropout: Share of the vectors' and the last convolution's values that is dropped in
            training.
        name: Name of the model.

    Returns:
        An uncompiled functional model from int32 numbers `(batch, words)` for each input, by name,
        to logits `(batch, words, num_tags)`.

    Raises:
        ValueError: If there is no input.

    Example:

    >>> from keras_kd.models import cnn_tagger
    >>> cnn_tagger({"words": 50}, 9, width=4, filters=4, depth=1).output_shape
    (None, None, 9)

    Reference: Strubell et al., "Fast and Accurate Entity Recognition with Iterated Dilated
    Convolutions", EMNLP 2017 (there with blocks that are applied again and again).
    """
    inputs, x = embedded_words(sizes, width, feature_width)
    x = keras.layers.Dropout(dropout, name="embedding_drop")(x)
    for number in range(1, depth + 1):
        convolution = MaskedConv1D(
            filters, 3, dilation_rate=2 ** (number - 1), activation="relu", name=f"conv{number}"
        )
        y = convolution(x)
        x = y if number == 1 else keras.layers.Add(name=f"tokens{number}")([x, y])
    x = keras.layers.Dropout(dropout, name="tokens_drop")(x)
    outputs = keras.layers.Dense(num_tags, dtype="float32", name="logits")(x)
    return keras.Model(inputs, outputs, name=name)
