"""A small transformer over a sentence."""

import keras


def text_transformer(
    length: int,
    vocabulary_size: int,
    num_classes: int,
    *,
    width: int = 64,
    depth: int = 2,
    heads: int = 4,
    dropout: float = 0.1,
    name: str = "text_transformer",
) -> keras.Model:
    """Builds a transformer encoder over token ids, with mean pooling.

    Layers: `embedding` (of tokens and positions), the blocks `block1`, `block2`, ... of KerasHub,
    each of which holds one attention layer, `pool` (the mean over tokens), `dropout` and `logits`.
    Token 0 is padding: no token looks at it, it is no part of the mean, and Keras' mask says so to
    losses on hidden states. The logits are float32 under mixed precision too.

    Args:
        length: Tokens of a sentence, padding included.
        vocabulary_size: How many ids there are, padding included.
        num_classes: How many logits the model returns.
        width: Size of a token's vector, a multiple of `heads`.
        depth: How many blocks.
        heads: Attention heads of a block.
        dropout: Share of what is dropped in the blocks and after pooling in training.
        name: Name of the model.

    Returns:
        An uncompiled functional model from int32 ids `(batch, length)` to logits
        `(batch, num_classes)`.

    Raises:
        ImportError: If KerasHub is not installed.
        ValueError: If the width is no multiple of the heads.

    Example:

    >>> from keras_kd.models import text_transformer  # doctest: +SKIP
    >>> text_transformer(20, 100, 2, width=8, depth=1, heads=2).output_shape  # doctest: +SKIP
    (None, 2)

    Reference: Vaswani et al., "Attention Is All You Need", NIPS 2017.
    """
    try:
        import keras_hub
    except ImportError as error:
        raise ImportError(
            'The blocks come from KerasHub: `pip install "keras_kd[tasks]"`.'
        ) from error
    if width % heads:
        raise ValueError(
            f"`width` must be a multiple of `heads`. Received: width={width}, heads={heads}"
        )
    tokens = keras.Input((length,), dtype="int32", name="tokens")
    embedding = keras_hub.layers.TokenAndPositionEmbedding(
        vocabulary_size, length, width, mask_zero=True, name="embedding"
    )
    # The sum keeps the mask; without this its second part warns that it does not.
    embedding.position_embedding.supports_masking = True
    x = embedding(tokens)
    for number in range(1, depth + 1):
        x = keras_hub.layers.TransformerEncoder(
            4 * width, heads, dropout=dropout, activation="gelu", name=f"block{number}"
        )(x)
    x = keras.layers.GlobalAveragePooling1D(name="pool")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    outputs = keras.layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(tokens, outputs, name=name)
