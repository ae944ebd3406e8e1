"""What to train, validate and test on."""

from __future__ import annotations

from typing import Any


def three_splits(builder: Any) -> tuple[str, str, str]:
    """Returns what to train, validate and test on, in TFDS' own slicing language.

    The test split is the set's own, or its labelled validation split where it has no test split, or
    the last tenth of its training split. Where the set's own validation split is not there or is
    already used as the test split, the last tenth of what remains for training validates.

    Args:
        builder: A TFDS builder.

    Raises:
        ValueError: If the set has no training split.
    """
    found = set(builder.info.splits)
    if "train" not in found:
        raise ValueError(
            f"A split named 'train' was expected. Received: name={builder.name!r}, whose splits "
            f"are {sorted(found)}"
        )
    if {"validation", "test"} <= found:
        return "train", "validation", "test"
    if found & {"validation", "test"}:
        return "train[:90%]", "train[90%:]", "test" if "test" in found else "validation"
    return "train[:80%]", "train[80%:90%]", "train[90%:]"
