"""What all figures have in common: colours, and a figure that belongs to no window."""

from __future__ import annotations

import os
import pathlib
from typing import Any

from keras_kd.checks import local_path

INK, GRID = "#333333", "#dddddd"
# Okabe and Ito's palette, which the colour-blind tell apart: the reference, then the others.
REFERENCE, *OTHERS = "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"


def figure_class() -> Any:
    """Returns `matplotlib.figure.Figure`, or says what is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "Plots need matplotlib, which is part of the `demo` extra: "
            "`pip install 'keras_kd[demo]'`."
        ) from error
    return Figure


def figure_path(path: str | os.PathLike | None) -> pathlib.Path | None:
    """Returns where a figure is to be written, or says that it cannot be, before it is drawn.

    Raises:
        TypeError: If `path` is no path.
        ValueError: If it is remote, or its suffix names no format of figures.
    """
    if path is None:
        return None
    file = local_path("path", path)
    formats = figure_class()().canvas.get_supported_filetypes()
    if file.suffix.removeprefix(".").lower() not in formats:
        raise ValueError(
            "The suffix of `path` is the figure's format. "
            f"Received: path='{file}'. Available: {sorted(formats)}"
        )
    return file


def plain(text: str) -> str:
    """Returns a text as matplotlib is to show it: a model's name is no formula."""
    return text.replace("$", r"\$")


def bare(panel: Any, title: str) -> None:
    """Gives a panel its title, grey lines behind the data, and no box around them."""
    panel.set_title(plain(title), fontsize=10, loc="left", color=INK)
    panel.set_axisbelow(True)
    panel.grid(color=GRID, linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(GRID)
    panel.tick_params(labelcolor=INK, color=GRID, labelsize=8)
