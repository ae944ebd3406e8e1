"""Whether two tokenisers cut sentences alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

_SPECIAL = ("pad_token_id", "start_token_id", "end_token_id")


def check_same_tokens(
    teacher: Callable[..., Any], student: Callable[..., Any], texts: Sequence[str]
) -> None:
    """Raises where teacher and student read other tokens in the same place.

    Losses that compare tokens one by one (`HiddenStateLoss`, `AttentionLoss`, `MiniLMLoss`) need
    place `n` of both models to be the same token, beginning, end and padding included. The models
    themselves cannot tell: ids of one vocabulary look like those of another.

    Args:
        teacher: The teacher's tokeniser: a KerasHub preprocessor or tokeniser, a
            `keras.layers.TextVectorization`, or any function from a list of strings to ids
            `(batch, length)`, or to a dict with such `"token_ids"`.
        student: The student's.
        texts: A list of strings to try, such as a few hundred training sentences.

    Raises:
        ValueError: If the lengths or any ids differ, with the first text that shows it and what
            the tokenisers tell of themselves.

    Example:

    >>> import keras
    >>> from keras_kd.data import check_same_tokens
    >>> words = keras.layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=3)
    >>> check_same_tokens(words, words, ["a b", "b"])
    """
    theirs, ours = _ids(teacher, texts), _ids(student, texts)
    about = f"Received: teacher={_about(teacher, theirs)}, student={_about(student, ours)}"
    if theirs.shape != ours.shape:
        raise ValueError(
            "Teacher and student must cut a sentence into as many tokens for their places to "
            f"correspond: give both one tokeniser and one length. {about}"
        )
    different = np.flatnonzero((theirs != ours).any(axis=1))
    if different.size:
        first = int(different[0])
        raise ValueError(
            "Teacher and student must read the same tokens for their places to correspond: give "
            f"both one vocabulary with the same special tokens. {different.size} of {len(texts)} "
            f"texts differ, first {texts[first]!r}: teacher={theirs[first].tolist()}, "
            f"student={ours[first].tolist()}. {about}"
        )


def _ids(tokenizer, texts):
    found = tokenizer(list(texts))
    found = found["token_ids"] if isinstance(found, dict) else found
    if hasattr(found, "to_tensor"):  # ragged, of a tokeniser that does not pad
        found = found.to_tensor()
    try:
        return keras.ops.convert_to_numpy(found)
    except ValueError as error:
        raise ValueError(
            "A tokeniser must give ids of one length for all texts: say its `sequence_length`. "
            f"Received: {type(tokenizer).__name__}"
        ) from error


def _about(tokenizer, ids):
    told = {"ids": ids.shape}
    tokenizer = getattr(tokenizer, "tokenizer", None) or tokenizer  # of a preprocessor
    if hasattr(tokenizer, "vocabulary_size"):
        told["vocabulary_size"] = tokenizer.vocabulary_size()
    told |= {name: getattr(tokenizer, name) for name in _SPECIAL if hasattr(tokenizer, name)}
    return told
