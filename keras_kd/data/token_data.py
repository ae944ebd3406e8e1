"""What every set of tagged words looks like here, wherever it comes from."""

from __future__ import annotations

import dataclasses

Sentences = tuple[tuple[tuple[str, ...], tuple[int, ...]], ...]


@dataclasses.dataclass(frozen=True)
class TokenData:
    """Sentences whose words carry tags, in three disjoint splits.

    Each split is a tuple of `(words, tags)`, one a sentence, in a fixed order: the words as their
    set cut them, and as many tags, numbers from 0 to `num_tags - 1`.

    Args:
        name: What the set is called.
        tag_names: The name of each tag, by number, such as `"O"` and `"B-person"`.
        train: Sentences to learn from.
        validation: Sentences to choose settings by; never part of `train`.
        test: Sentences to measure on, once.

    Raises:
        ValueError: If a sentence has another number of tags than of words, or a tag has no name.

    Example:

    ```python
    data = keras_kd.data.token_classification("wnut17", data_dir)
    words, tags = data.train[0]
    ```
    """

    name: str
    tag_names: tuple[str, ...]
    train: Sentences
    validation: Sentences
    test: Sentences

    def __post_init__(self) -> None:
        for split in ("train", "validation", "test"):
            for number, (words, tags) in enumerate(getattr(self, split)):
                where = f"Received: sentence {number} of '{split}', with"
                if len(words) != len(tags):
                    raise ValueError(
                        "A sentence must have one tag for each word. "
                        f"{where} {len(words)} words and {len(tags)} tags"
                    )
                outside = [tag for tag in tags if not 0 <= tag < self.num_tags]
                if outside:
                    raise ValueError(
                        f"Tags must be numbers from 0 to {self.num_tags - 1}, those of "
                        f"{list(self.tag_names)}. {where} tag {outside[0]}"
                    )

    @property
    def num_tags(self) -> int:
        """How many tags there are."""
        return len(self.tag_names)
