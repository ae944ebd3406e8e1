"""Tags of sentences as one array."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def pad_tags(
    tags: Sequence[Sequence[int]], length: int, num_tags: int, *, ignore_label: int = -1
) -> np.ndarray:
    """Puts the tags of sentences into one array, with a label that is no tag behind each of them.

    The label is what losses take as `ignore_class`, so that padding counts for nothing.

    Args:
        tags: One sequence of numbers from 0 to `num_tags - 1` for each sentence.
        length: Words of a row. Longer sentences are cut.
        num_tags: How many tags there are.
        ignore_label: A number that is no tag.

    Returns:
        int32 of shape `(sentences, length)`.

    Raises:
        ValueError: If the ignore label is a tag, or a tag lies outside.

    Example:

    >>> from keras_kd.data.pad_tags import pad_tags
    >>> pad_tags([[0, 2, 1], [1]], 4, num_tags=3).tolist()
    [[0, 2, 1, -1], [1, -1, -1, -1]]
    """
    if 0 <= ignore_label < num_tags:
        raise ValueError(
            f"`ignore_label` must be no tag, and the tags are 0 to {num_tags - 1}: -1 and 255 are "
            f"usual. Received: ignore_label={ignore_label}"
        )
    rows = np.full((len(tags), length), ignore_label, "int32")
    for number, (row, of_sentence) in enumerate(zip(rows, tags, strict=True)):
        outside = [tag for tag in of_sentence if not 0 <= tag < num_tags]
        if outside:
            raise ValueError(
                f"Tags must be numbers from 0 to {num_tags - 1}. "
                f"Received: {outside[0]} in sentence {number}"
            )
        row[: len(of_sentence)] = of_sentence[:length]
    return rows
