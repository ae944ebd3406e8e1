"""Words as the numbers that a small tagger reads."""

from __future__ import annotations

import collections
import re
from collections.abc import Sequence

import numpy as np

PADDING, UNKNOWN = 0, 1


class WordNumbers:
    """Numbers for words, their endings and their shapes, learned from sentences.

    A small vocabulary knows few names. What tells a name in its place are the last letters and the
    shape, such as `"Xx"` for `"London"` and `"@xd"` for `"@anna99"`: capitals, small letters and
    digits, and several of a kind in a row count as one. 0 is padding, 1 what is not known.

    Args:
        sentences: Sequences of words to learn from.
        min_count: How often a word, ending or shape occurs in them to have a number of its own.

    Attributes:
        sizes: `{"words": n, "endings": n, "shapes": n}`, how many numbers each of them has.

    Example:

    >>> from keras_kd.data.word_numbers import WordNumbers
    >>> numbers = WordNumbers([["Anna", "met", "Ben"], ["Ben", "left"]], min_count=1)
    >>> found = numbers([["Ben", "met", "Tom"]], length=4)
    >>> found["words"].tolist(), found["shapes"].tolist()
    ([[2, 4, 1, 0]], [[2, 3, 2, 0]])
    """

    def __init__(self, sentences: Sequence[Sequence[str]], min_count: int = 2) -> None:
        self._numbers = {}
        for name, read in _READ.items():
            counts = collections.Counter(read(word) for words in sentences for word in words)
            known = [text for text, count in counts.most_common() if count >= min_count]
            self._numbers[name] = {text: number for number, text in enumerate(known, UNKNOWN + 1)}

    @property
    def sizes(self) -> dict[str, int]:
        """How many numbers each kind has, padding and the unknown among them."""
        return {name: len(numbers) + UNKNOWN + 1 for name, numbers in self._numbers.items()}

    def __call__(
        self, sentences: Sequence[Sequence[str]], length: int | None = None
    ) -> dict[str, np.ndarray]:
        """Returns int32 arrays `(sentences, length)` by name.

        Args:
            sentences: Sequences of words.
            length: Words of a row. Longer sentences are cut. None, the default, cuts none.
        """
        length = max(map(len, sentences), default=0) if length is None else length
        found = {}
        for name, read in _READ.items():
            numbers = self._numbers[name]
            found[name] = np.full((len(sentences), length), PADDING, "int32")
            for row, words in zip(found[name], sentences, strict=True):
                kept = words[:length]
                row[: len(kept)] = [numbers.get(read(word), UNKNOWN) for word in kept]
        return found


def _shape(word):
    word = re.sub(r"\d", "d", re.sub(r"[^\W\d_]", _case, word))
    return re.sub(r"(.)\1+", r"\1", word)[:_SHAPE]


def _case(letter):
    return "x" if letter.group().islower() else "X"


_SHAPE = 6  # characters of a shape
_READ = {
    "words": str.lower,
    "endings": lambda word: word[-3:].lower(),
    "shapes": _shape,
}
