"""A tagger of words on top of a BERT."""

import keras


def bert_tagger(
    backbone: keras.Model,
    num_tags: int,
    *,
    dropout: float = 0.1,
    name: str = "bert_tagger",
) -> keras.Model:
    """Puts a tagger on a KerasHub BERT: the first piece of each word speaks for the word.

    After the backbone (without its pooler) come `first_piece` (the vectors of the words' first
    pieces), `dropout` and `logits`, which are float32 under mixed precision too. So the logits
    belong to words, as those of a student do that reads words. Words that are not there have
    logits, too, which mean nothing: the student's mask or an ignored label leaves them out.

    Args:
        backbone: A `keras_hub.models.BertBackbone`, pretrained or not; it becomes part of the
            model.
        num_tags: How many logits a word has.
        dropout: Share of the words' features that is dropped in training.
        name: Name of the model.

    Returns:
        An uncompiled functional model from what `keras_kd.data.word_pieces` gives, by name, to
        logits `(batch, words, num_tags)`.

    Example:

    >>> import keras_hub, keras_kd  # doctest: +SKIP
    >>> bert = keras_hub.models.BertBackbone.from_preset("bert_tiny_en_uncased")  # doctest: +SKIP
    >>> keras_kd.models.bert_tagger(bert, 9).output_shape  # doctest: +SKIP
    (None, None, 9)

    Reference: Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language
    Understanding", NAACL 2019, section 5.3.
    """
    encoder = keras.Model(backbone.input, backbone.output["sequence_output"], name="encoder")
    pieces = {
        each: keras.Input((None,), dtype="int32", name=each)
        for each in ("token_ids", "segment_ids", "padding_mask")
    }
    first = keras.Input((None,), dtype="int32", name="first_pieces")
    places = keras.ops.expand_dims(first, -1)
    x = keras.ops.take_along_axis(encoder(pieces), places, axis=1)
    x = keras.layers.Identity(name="first_piece")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    outputs = keras.layers.Dense(num_tags, dtype="float32", name="logits")(x)
    return keras.Model([*pieces.values(), first], outputs, name=name)
