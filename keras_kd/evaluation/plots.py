"""The comparison as a picture."""

import dataclasses
import io
import itertools
import math

from keras_kd.evaluation.figure_style import GRID, INK, OTHERS, REFERENCE, figure_class, plain
from keras_kd.evaluation.kinds import summaries
from keras_kd.evaluation.table_column import size
from keras_kd.evaluation.tables import columns, traded_column

_PANELS_A_ROW = 4
_TRADE_POINTS, _LINE_POINTS = 220, 12  # height of the lower plot and of a line of text in it


@dataclasses.dataclass(frozen=True)
class _Line:
    """A model, or all of one kind.

    Attributes:
        summary: What its label says.
        rows: The models.
        color: Of its dots, the same in all panels.
    """

    summary: dict
    rows: list
    color: str


def draw_png(rows: list[dict], task: str, kinds=None, reference=None) -> bytes:
    """The picture of `draw` as PNG."""
    buffer = io.BytesIO()
    draw(rows, task, kinds, reference).savefig(buffer, format="png")
    return buffer.getvalue()


def draw(rows: list[dict], task: str, kinds=None, reference=None):
    """Draws one panel of dots for each figure of quality, and quality against size.

    Every model is a dot, models of one kind share a line, a tick marks their mean. Axes begin where
    the data do.

    Args:
        rows: One dict a model.
        task: `"classification"`, `"multilabel"` or `"regression"`.
        kinds: Names of rows by kind, or None.
        reference: Name of the row that has a colour of its own, or None.

    Returns:
        A `matplotlib.figure.Figure`; it belongs to no window, so nothing has to be closed.

    Raises:
        ImportError: If matplotlib is missing.
    """
    lines = _lines(rows, kinds or {}, reference)
    shown = [column for column in columns(task, rows) if column.plotted]
    rows_of_panels = math.ceil(len(shown) / _PANELS_A_ROW)
    height = rows_of_panels * (0.9 + 0.32 * len(lines))
    figure = figure_class()(figsize=(11, height + 4.2), dpi=150, layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=[height, 4.2], hspace=0.05)
    width = min(len(shown), _PANELS_A_ROW)
    panels = list(upper.subplots(rows_of_panels, width, squeeze=False, sharey=True).flat)
    for panel, column in zip(panels, shown, strict=False):
        _draw_dots(panel, column, lines)
    for panel in panels[len(shown) :]:
        panel.set_visible(False)
    _draw_trade(lower.subplots(), traded_column(task), lines)
    return figure


def _lines(rows, kinds, reference):
    by_name, colors = {row["model"]: row for row in rows}, itertools.cycle(OTHERS)
    return [
        _Line(
            summary,
            [by_name[name] for name in kinds.get(summary["model"], [summary["model"]])],
            REFERENCE if summary["model"] == reference else next(colors),
        )
        for summary in summaries(rows, kinds)
    ]


def _draw_dots(panel, column, lines):
    scale = _scale(column)
    for place, line in enumerate(lines):
        values = [row[column.key] for row in line.rows if row.get(column.key) is not None]
        if not values:
            continue
        values = [scale * value for value in values]
        panel.scatter(values, [place] * len(values), s=26, color=line.color, alpha=0.75, zorder=3)
        mean = math.fsum(values) / len(values)
        panel.vlines(mean, place - 0.3, place + 0.3, color=line.color, zorder=2)
        text = column.text(line.summary)
        beside = {"xytext": (0, 9), "textcoords": "offset points", "ha": "center"}
        panel.annotate(text, (mean, place), fontsize=7, color=INK, **beside)
    panel.set_yticks(range(len(lines)), [plain(line.summary["model"]) for line in lines])
    panel.set_ylim(len(lines) - 0.4, -0.8)
    panel.set_title(column.head + _hint(column), fontsize=8, loc="left", color=INK)
    panel.margins(x=0.28)
    panel.grid(axis="x", color=GRID, linewidth=0.6)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.spines["bottom"].set_color(GRID)
    panel.tick_params(left=False, labelcolor=INK, color=GRID, labelsize=8)


def _scale(column):
    return 100.0 if column.head.endswith("(%)") else 1.0


def _hint(column):
    return {"higher": ", higher is better", "lower": ", lower is better"}.get(column.better, "")


def _draw_trade(panel, column, lines):
    scale = _scale(column)
    lines = [
        line
        for line in lines
        if line.summary.get("size_bytes") and line.summary.get(column.key) is not None
    ]
    if not lines:
        return
    for line in lines:
        places = [(row["size_bytes"], scale * row[column.key]) for row in line.rows]
        panel.scatter(*zip(*places, strict=True), s=50, color=line.color, alpha=0.75, zorder=3)
    sizes = [line.summary["size_bytes"] for line in lines]
    values = [scale * line.summary[column.key] for line in lines]
    panel.set_xscale("log", base=2)
    panel.set_xlim(min(sizes) / 2, 2 * max(sizes))
    panel.margins(y=0.2)
    for line, x, y, shift in zip(lines, sizes, values, _shifts(panel, sizes, values), strict=True):
        place = {"xytext": (10, shift), "textcoords": "offset points", "va": "center"}
        panel.annotate(plain(line.summary["model"]), (x, y), fontsize=9, color=INK, **place)
    panel.xaxis.set_major_formatter(lambda value, _: size(value).replace(".0 ", " "))
    panel.set_xlabel("Size on disk (logarithmic)", color=INK)
    panel.set_ylabel(column.head, color=INK)
    panel.set_title("Quality against size" + _hint(column), fontsize=11, loc="left", color=INK)
    panel.tick_params(labelcolor=INK, color=GRID)
    panel.grid(color=GRID, linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(GRID)


def _shifts(panel, sizes, values):
    """Points by which each name moves up so that it does not cover another's.

    Students of one architecture have one size, so their points often stand above each other.
    """
    low, high = panel.get_ylim()
    heights = [_TRADE_POINTS * (value - low) / (high - low) for value in values]
    shifts, tops = [0.0] * len(values), {}
    for index in sorted(range(len(values)), key=heights.__getitem__):
        stack = round(math.log2(sizes[index]))
        base = max(heights[index], tops.get(stack, -math.inf) + _LINE_POINTS)
        tops[stack] = base
        shifts[index] = base - heights[index]
    return shifts
