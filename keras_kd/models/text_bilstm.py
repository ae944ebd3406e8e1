"""A bidirectional LSTM over a sentence."""

import keras


def text_bilstm(
    length: int,
    vocabulary_size: int,
    num_classes: int,
    *,
    width: int = 128,
    units: int = 64,
    hidden: int = 128,
    dropout: float = 0.5,
    name: str = "text_bilstm",
) -> keras.Model:
    """Builds the one-layer bidirectional LSTM of Tang et al. (2019) over token ids.

    Layers: `embedding`, `embedding_drop`, `pool` (the last states of both directions side by side),
    `hidden` (ReLU), `hidden_drop` and `logits`. Token 0 is padding and is passed over. The logits
    are float32 under mixed precision too.

    Args:
        length: Tokens of a sentence, padding included.
        vocabulary_size: How many ids there are, padding included.
        num_classes: How many logits the model returns.
        width: Size of a token's vector.
        units: Size of the state of each direction.
        hidden: Units of the dense layer after the LSTM.
        dropout: Share of the vectors' values and of the dense layer's units that is dropped in
            training.
        name: Name of the model.

    Returns:
        An uncompiled functional model from int32 ids `(batch, length)` to logits
        `(batch, num_classes)`.

    Example:

    >>> from keras_kd.models import text_bilstm
    >>> text_bilstm(20, 100, 2, width=4, units=4, hidden=4).output_shape
    (None, 2)

    Reference: Tang et al., "Distilling Task-Specific Knowledge from BERT into Simple Neural
    Networks", 2019 (there of 300 inputs, 150 units and word2vec's vectors).
    """
    tokens = keras.Input((length,), dtype="int32", name="tokens")
    x = keras.layers.Embedding(vocabulary_size, width, mask_zero=True, name="embedding")(tokens)
    x = keras.layers.Dropout(dropout, name="embedding_drop")(x)
    x = keras.layers.Bidirectional(keras.layers.LSTM(units), name="pool")(x)
    x = keras.layers.Dense(hidden, "relu", name="hidden")(x)
    x = keras.layers.Dropout(dropout, name="hidden_drop")(x)
    outputs = keras.layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(tokens, outputs, name=name)
