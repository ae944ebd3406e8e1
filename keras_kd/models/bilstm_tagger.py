"""A bidirectional LSTM that tags words."""

import keras

from keras_kd.models.embedded_words import embedded_words


def bilstm_tagger(
    sizes: dict[str, int],
    num_tags: int,
    *,
    width: int = 64,
    feature_width: int = 16,
    units: int = 64,
    dropout: float = 0.3,
    name: str = "bilstm_tagger",
) -> keras.Model:
    """Builds a one-layer bidirectional LSTM that gives logits for each word.

    Layers: an embedding for each input (`words_embedding`, ...), `embedding` (all of them side by
    side, where there are several), `embedding_drop`, `tokens` (the states of both directions),
    `tokens_drop` and `logits`. Number 0 is padding: it is passed over, and the logits carry its
    mask to losses and metrics, so that padding changes nothing. The logits are float32 under mixed
    precision too.

    Args:
        sizes: `{input: how many numbers it has}`, as in `keras_kd.data.WordNumbers.sizes`. The
            first input is the words.
        num_tags: How many logits a word has.
        width: Size of a word's vector.
        feature_width: Size of the vector of each further input.
        units: Size of the state of each direction.
        dropout: Share of the vectors' and the states' values that is dropped in training.
        name: Name of the model.

    Returns:
        An uncompiled functional model from int32 numbers `(batch, words)` for each input, by name,
        to logits `(batch, words, num_tags)`.

    Raises:
        ValueError: If there is no input.

    Example:

    >>> from keras_kd.models import bilstm_tagger
    >>> bilstm_tagger({"words": 50}, 9, width=4, units=4).output_shape
    (None, None, 9)

    Reference: Lample et al., "Neural Architectures for Named Entity Recognition", NAACL 2016
    (there with characters in place of features, and a CRF).
    """
    inputs, x = embedded_words(sizes, width, feature_width)
    x = keras.layers.Dropout(dropout, name="embedding_drop")(x)
    lstm = keras.layers.LSTM(units, return_sequences=True)
    x = keras.layers.Bidirectional(lstm, name="tokens")(x)
    x = keras.layers.Dropout(dropout, name="tokens_drop")(x)
    outputs = keras.layers.Dense(num_tags, dtype="float32", name="logits")(x)
    return keras.Model(inputs, outputs, name=name)
