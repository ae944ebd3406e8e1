"""How the figures of a comparison are shown."""

import dataclasses
from collections.abc import Callable

DASH = "\N{EN DASH}"


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of the table that people read.

    Attributes:
        key: Name of the figure in a row.
        head: What stands above the column.
        text_of: Writes one figure.
        better: `"higher"`, `"lower"` or `None` where neither is better.
        plotted: Whether the figure has a panel in the plot.
        detail: Name of a second figure, the 95th percentile of the first, or `None`.
    """

    key: str
    head: str
    text_of: Callable[[float], str]
    better: str | None = None
    plotted: bool = False
    detail: str | None = None

    def text(self, row: dict) -> str:
        """The cell of a row, a dash where the row has no such figure."""
        value = row.get(self.key)
        if value is None:
            return DASH
        spread = row.get(f"{self.key}_sd")
        if spread is not None:
            in_full = self.text_of is percent
            return f"{self.text_of(value)} ± {percent(spread) if in_full else f'{spread:.2g}'}"
        if self.detail is None:
            return self.text_of(value)
        return f"{self.text_of(value)} (p95 {self.text_of(row[self.detail])})"


def percent(value):
    """0.98765 as `98.77`; the column's head holds the sign."""
    return f"{100 * value:.2f}"


def number(value):
    """Four significant digits."""
    return f"{value:#.4g}" if 1e-4 <= abs(value) < 1e4 or value == 0 else f"{value:.3g}"


def count(value):
    """Whole numbers in full below ten thousand, then with K, M, G or T."""
    if value < 10_000:
        return f"{value:,}"
    for unit in ("K", "M", "G"):
        value /= 1000
        if value < 999.5:
            return f"{value:.3g} {unit}"
    value /= 1000
    return f"{value:.3g} T" if value < 999.5 else f"{value:,.0f} T"


def size(value):
    """Bytes as KiB or MiB."""
    return f"{value / 1024:.1f} KiB" if value < 1024**2 else f"{value / 1024**2:,.1f} MiB"


def milliseconds(value):
    """Two digits after the point, fewer for slow calls and more for those of a small runtime."""
    if value < 0.1:
        return f"{value:.3f}"
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"
