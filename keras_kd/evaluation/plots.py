"""The comparison as a picture."""

import io
import math

from keras_kd.evaluation.table_column import size
from keras_kd.evaluation.tables import columns, traded_column

_PANELS_A_ROW = 4
_TRADE_POINTS, _LINE_POINTS = 220, 12  # height of the lower plot and of a line of text in it
_BLUE, _INK, _GRID = "#0072B2", "#333333", "#dddddd"


def draw_png(rows: list[dict], task: str) -> bytes:
    """The picture of `draw` as PNG."""
    buffer = io.BytesIO()
    draw(rows, task).savefig(buffer, format="png")
    return buffer.getvalue()


def draw(rows: list[dict], task: str):
    """Draws one panel of bars for each figure of quality, and quality against size.

    Args:
        rows: One dict a model.
        task: `"classification"`, `"multilabel"` or `"regression"`.

    Returns:
        A `matplotlib.figure.Figure`; it belongs to no window, so nothing has to be closed.

    Raises:
        ImportError: If matplotlib is missing.
    """
    figure_class = _figure_class()
    shown = [column for column in columns(task, rows) if column.plotted]
    lines = math.ceil(len(shown) / _PANELS_A_ROW)
    bars_height = lines * (0.9 + 0.32 * len(rows))
    figure = figure_class(figsize=(11, bars_height + 4.2), dpi=150, layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=[bars_height, 4.2], hspace=0.05)
    width = min(len(shown), _PANELS_A_ROW)
    panels = upper.subplots(lines, width, squeeze=False, sharey=True).flat
    for panel, column in zip(panels, shown, strict=False):
        _draw_bars(panel, column, rows)
    for panel in list(panels)[len(shown) :]:
        panel.set_visible(False)
    _draw_trade(lower.subplots(), traded_column(task), rows)
    return figure


def _figure_class():
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "Plots need matplotlib, which is part of the `demo` extra: "
            "`pip install 'keras_kd[demo]'`."
        ) from error
    return Figure


def _plain(text):
    return text.replace("$", r"\$")  # a model's name is no formula


def _draw_bars(panel, column, rows):
    values = [row.get(column.key) for row in rows]
    places = range(len(rows))
    bars = panel.barh(places, [value or 0.0 for value in values], height=0.62, color=_BLUE)
    panel.bar_label(bars, [column.text(row) for row in rows], padding=3, fontsize=8, color=_INK)
    panel.set_yticks(places, [_plain(row["model"]) for row in rows], fontsize=9)
    panel.set_ylim(len(rows) - 0.4, -0.6)
    panel.set_title(column.head + _hint(column), fontsize=9, loc="left", color=_INK)
    panel.set_xticks([])
    panel.margins(x=0.28)
    panel.spines[["top", "right", "bottom"]].set_visible(False)
    panel.spines["left"].set_color(_GRID)
    panel.tick_params(left=False, labelcolor=_INK)


def _hint(column):
    return {"higher": ", higher is better", "lower": ", lower is better"}.get(column.better, "")


def _draw_trade(panel, column, rows):
    scale = 100.0 if column.head.endswith("(%)") else 1.0
    rows = [row for row in rows if row.get("size_bytes") and row.get(column.key) is not None]
    if not rows:
        return
    sizes = [row["size_bytes"] for row in rows]
    values = [scale * row[column.key] for row in rows]
    panel.scatter(sizes, values, s=60, color=_BLUE, zorder=3)
    panel.set_xscale("log", base=2)
    panel.set_xlim(min(sizes) / 2, 2 * max(sizes))
    panel.margins(y=0.2)
    for row, x, y, shift in zip(rows, sizes, values, _shifts(panel, sizes, values), strict=True):
        place = {"xytext": (8, shift), "textcoords": "offset points", "va": "center"}
        panel.annotate(_plain(row["model"]), (x, y), fontsize=9, color=_INK, **place)
    panel.xaxis.set_major_formatter(lambda value, _: size(value).replace(".0 ", " "))
    panel.set_xlabel("Size on disk (logarithmic)", color=_INK)
    panel.set_ylabel(column.head, color=_INK)
    panel.set_title("Quality against size" + _hint(column), fontsize=11, loc="left", color=_INK)
    panel.tick_params(labelcolor=_INK, color=_GRID)
    panel.grid(color=_GRID, linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(_GRID)


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
