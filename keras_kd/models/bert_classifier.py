"""A classifier of sentences on top of a BERT."""

import keras


def bert_classifier(
    backbone: keras.Model,
    length: int,
    num_classes: int,
    *,
    dropout: float = 0.1,
    name: str = "bert_classifier",
) -> keras.Model:
    """Puts a classifier on a KerasHub BERT, over token ids alone.

    The padding mask is made from the ids, 0 being padding as in BERT's own vocabulary, and all
    tokens are of one segment; so a student that takes the same ids can stand beside it. After the
    backbone come `pool` (the mean over tokens that are no padding), `dropout` and `logits`, which
    are float32 under mixed precision too.

    Args:
        backbone: A `keras_hub.models.BertBackbone`, pretrained or not; it becomes part of the
            model.
        length: Tokens of a sentence, those at its ends and padding included.
        num_classes: How many logits the model returns.
        dropout: Share of the pooled features that is dropped in training.
        name: Name of the model.

    Returns:
        An uncompiled functional model from int32 ids `(batch, length)` to logits
        `(batch, num_classes)`.

    Raises:
        ValueError: If the backbone has fewer positions than `length`.

    Example:

    >>> import keras_hub, keras_kd  # doctest: +SKIP
    >>> bert = keras_hub.models.BertBackbone.from_preset("bert_tiny_en_uncased")  # doctest: +SKIP
    >>> keras_kd.models.bert_classifier(bert, 16, 6).output_shape  # doctest: +SKIP
    (None, 6)

    Reference: Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language
    Understanding", NAACL 2019; the mean in place of the first token after Reimers and Gurevych,
    "Sentence-BERT", EMNLP 2019.
    """
    if length > backbone.max_sequence_length:
        raise ValueError(
            "`length` must be within the backbone's positions. Received: "
            f"length={length}, max_sequence_length={backbone.max_sequence_length}"
        )
    # Without the pooler: what is not trained would warn in every fit.
    states = keras.Model(backbone.input, backbone.output["sequence_output"], name=backbone.name)
    tokens = keras.Input((length,), dtype="int32", name="tokens")
    real = keras.ops.not_equal(tokens, 0)
    x = states(
        {
            "token_ids": tokens,
            "segment_ids": keras.ops.zeros_like(tokens),
            "padding_mask": keras.ops.cast(real, "int32"),
        }
    )
    x = keras.layers.GlobalAveragePooling1D(name="pool")(x, mask=real)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    outputs = keras.layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(tokens, outputs, name=name)
