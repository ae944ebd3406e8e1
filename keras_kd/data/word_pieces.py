"""Words as the word pieces that a BERT reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def word_pieces(
    sentences: Sequence[Sequence[str]],
    tokenizer: Any,
    length: int | None = None,
    words: int | None = None,
) -> dict[str, np.ndarray]:
    """Cuts words into pieces, and says which piece is the first of each word.

    A sentence is cut after the last word whose pieces all fit, `[CLS]` and `[SEP]` counted.

    Args:
        sentences: Sequences of words.
        tokenizer: A `keras_hub.tokenizers.BertTokenizer`.
        length: Pieces of a row. None, the default, is as many as the longest sentence takes.
        words: Words of a row. Longer sentences are cut. None, the default, cuts none.

    Returns:
        int32 arrays: `token_ids`, `segment_ids` and `padding_mask`, `(sentences, length)`, as
        KerasHub's BERT takes them, and `first_pieces`, `(sentences, words)`: the position of each
        word's first piece; 0, that of `[CLS]`, where there is no such word.

    Raises:
        ValueError: If a row has no room for a piece.

    Example:

    >>> import keras_hub, keras_kd  # doctest: +SKIP
    >>> special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]  # doctest: +SKIP
    >>> tokenizer = keras_hub.tokenizers.BertTokenizer(  # doctest: +SKIP
    ...     [*special, "new", "york", "##er"], lowercase=True)
    >>> rows = keras_kd.data.word_pieces([["New", "Yorker"]], tokenizer)  # doctest: +SKIP
    >>> rows["token_ids"].tolist(), rows["first_pieces"].tolist()  # doctest: +SKIP
    ([[2, 5, 6, 7, 3]], [[1, 2]])
    """
    if length is not None and length < 3:
        raise ValueError(
            "`length` must have room for [CLS], one piece and [SEP]: at least 3. "
            f"Received: length={length}"
        )
    pieces = _pieces(sentences, tokenizer)
    words = max(map(len, sentences), default=0) if words is None else words
    if length is None:
        counts = (sum(len(pieces[word]) for word in sentence[:words]) for sentence in sentences)
        length = 2 + max(counts, default=0)
    found = {
        "token_ids": np.full((len(sentences), length), tokenizer.pad_token_id, "int32"),
        "segment_ids": np.zeros((len(sentences), length), "int32"),
        "padding_mask": np.zeros((len(sentences), length), "int32"),
        "first_pieces": np.zeros((len(sentences), words), "int32"),
    }
    for row, sentence in enumerate(sentences):
        ids = [tokenizer.cls_token_id]
        for place, word in enumerate(sentence[:words]):
            if len(ids) + len(pieces[word]) >= length:
                break
            found["first_pieces"][row, place] = len(ids)
            ids += pieces[word]
        ids.append(tokenizer.sep_token_id)
        found["token_ids"][row, : len(ids)] = ids
        found["padding_mask"][row, : len(ids)] = 1
    return found


def _pieces(sentences, tokenizer):
    """Returns the pieces of each word; what leaves none, such as a lone accent, is unknown."""
    unknown = tokenizer.token_to_id(tokenizer.oov_token)
    words = sorted({word for words in sentences for word in words})
    each = tokenizer(words) if words else []
    each = each.to_list() if hasattr(each, "to_list") else each  # ragged, on TensorFlow
    return {word: ids or [unknown] for word, ids in zip(words, each, strict=True)}
