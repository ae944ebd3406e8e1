"""What labelling a data set would take."""

from __future__ import annotations

import dataclasses
import time

from keras_kd.cache.components import rows_of
from keras_kd.cache.fingerprints import content_digest


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Bytes and time that labelling would take; `str` gives it as one line.

    Attributes:
        examples: How many examples the data set has, `None` where it does not tell.
        views: How many views of each are labelled.
        bytes_per_example: What one view of one example takes on disk.
        examples_per_second: Views of examples that were read, labelled and fingerprinted a second.
        measured_on: How many examples that was measured on.

    Example:

    >>> from keras_kd.cache import Estimate
    >>> print(Estimate(50_000, 4, 200, 1_000.0, 2_560))
    50,000 examples, 4 views: 40.0 MB (200 bytes each), about 3 min at 1,000 examples/s
    """

    examples: int | None
    views: int
    bytes_per_example: int
    examples_per_second: float
    measured_on: int

    @property
    def bytes(self) -> int | None:
        """Bytes of all answers on disk, but for a few of each file's description."""
        if self.examples is None:
            return None
        return self.examples * self.views * self.bytes_per_example

    @property
    def seconds(self) -> float | None:
        """Seconds that labelling all of it would take on this machine."""
        if self.examples is None:
            return None
        return self.examples * self.views / self.examples_per_second

    def __str__(self) -> str:
        views = f", {self.views} views" if self.views > 1 else ""
        speed = f"{self.examples_per_second:,.0f} examples/s"
        if self.examples is None:
            return (
                f"examples of unknown number{views}: {self.bytes_per_example:,} bytes each, {speed}"
            )
        return (
            f"{self.examples:,} examples{views}: {_size(self.bytes)} ({self.bytes_per_example:,} "
            f"bytes each), about {_duration(self.seconds)} at {speed}"
        )


def measure(source, labeller, batch_size: int, most_seconds: float) -> Estimate:
    """Labels the first batches and writes nothing.

    Args:
        source: The `Source`.
        labeller: A `Labeller` that has learned nothing yet.
        batch_size: Examples that the teacher sees at a time.
        most_seconds: After so many seconds no other batch is begun.
    """
    batches = source.batches(0, batch_size)
    head, seen = next(batches)
    labeller.learn(seen)  # what is paid once is not counted
    first, done, start = rows_of(head), 0, time.perf_counter()
    for x, views in batches:
        done += _label(labeller, x, views, first + done)
        if time.perf_counter() - start > most_seconds:
            break
    if done == 0:  # one batch is all there is
        done = _label(labeller, head, seen, first)
    rate = done / max(time.perf_counter() - start, 1e-9)
    size = sum(component.size for component in labeller.components)
    examples = source.length if source.length >= 0 else None
    return Estimate(examples, source.views, size, rate, done)


def _label(labeller, x, seen, position):
    labeller(seen, position)
    content_digest(x)
    return rows_of(x)


def _size(count):
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def _duration(seconds):
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
