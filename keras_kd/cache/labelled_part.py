"""What labelling one part of a data set did."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class LabelledPart:
    """What one worker labelled; printed, it is a line.

    Attributes:
        index: Which part, from 0.
        count: How many parts.
        examples: Examples of this part.
        labelled: Answers that this call wrote, one an example and view; 0 where all were there.
        bytes: Bytes that it wrote.
        seconds: How long it took, without the teacher's loading.

    Example:

    >>> import keras_kd
    >>> part = keras_kd.cache.LabelledPart(2, 10, 128_000, 128_000, 2_560_000, 640.0)
    >>> print(part)
    part 2 of 0 to 9: 128,000 examples, 128,000 answers written now, 2,560,000 bytes, 200 a second
    >>> part.examples_per_second
    200.0
    """

    index: int
    count: int
    examples: int
    labelled: int
    bytes: int
    seconds: float

    @property
    def examples_per_second(self) -> float:
        """Answers that were written a second."""
        return self.labelled / self.seconds if self.seconds > 0 else 0.0

    def __str__(self) -> str:
        return (
            f"part {self.index} of 0 to {self.count - 1}: {self.examples:,} examples, "
            f"{self.labelled:,} answers written now, {self.bytes:,} bytes, "
            f"{self.examples_per_second:,.0f} a second"
        )
