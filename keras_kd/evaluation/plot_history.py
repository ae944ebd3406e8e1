"""Learning curves."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import keras
import numpy as np

from keras_kd.evaluation.figure_style import (
    INK,
    OTHERS,
    REFERENCE,
    bare,
    figure_class,
    figure_path,
    plain,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

History: TypeAlias = keras.callbacks.History | Mapping[str, Sequence[float]]

_PANELS_A_ROW = 3
_COLORS = (*OTHERS, REFERENCE)
_MARKERS = ("", "o", "s", "^")  # tell colours apart that come again


def plot_history(
    histories: Mapping[str, History | Sequence[History]],
    path: str | os.PathLike | None = None,
    metrics: Sequence[str] | None = None,
    reference: str | None = None,
) -> Figure:
    """Draws what `fit` returned: a panel a metric, a colour a name, epoch by epoch.

    Training is dashed, validation solid. Several histories of one kind, the same recipe from
    several seeds, are thin lines with their mean, which ends with the shortest of them.

    Args:
        histories: By name: what `fit` returned (a `keras.callbacks.History`), its `.history`, or a
            list of these. Values that are NaN or infinite are left out.
        path: Where to write the figure, or None; its suffix (`.png`, `.svg`, `.pdf`) is the
            format.
        metrics: Names without `val_`, whose curves are drawn with their own. Default: those that
            are one number an epoch in all histories, the loss first.
        reference: The name that has the colour of its own which `compare` gives its reference, such
            as a teacher's; the others then have theirs.

    Returns:
        A `matplotlib.figure.Figure`; it belongs to no window, so nothing has to be closed.

    Raises:
        ImportError: If matplotlib is missing.
        TypeError: If something else than histories by name is given.
        ValueError: If there is none, one has no epochs, a metric is in none of them or they have
            none in common, or a curve has not a value for every epoch.

    Example:
        >>> from keras_kd.evaluation import plot_history
        >>> runs = {
        ...     "alone": {"loss": [2.0, 1.5], "val_loss": [2.1, 1.8]},
        ...     "distilled": {"loss": [1.8, 1.2], "val_loss": [1.9, 1.4]},
        ... }
        >>> [panel.get_title(loc="left") for panel in plot_history(runs).axes]
        ['loss']
    """
    file, figure = figure_path(path), figure_class()
    runs = _runs(histories)
    names = _metrics(runs, metrics)
    styles = _styles(runs, reference)
    width = min(len(names), _PANELS_A_ROW)
    height = math.ceil(len(names) / width)
    figure = figure(figsize=(4.2 * width + 1, 3.2 * height + 0.6), dpi=150, layout="constrained")
    panels = list(figure.subplots(height, width, squeeze=False).flat)
    for panel, metric in zip(panels, names, strict=False):
        for (color, marker), of_kind in zip(styles, runs.values(), strict=True):
            for name, dash in ((metric, "--"), (f"val_{metric}", "-")):
                curves = [run[name] for run in of_kind if name in run]
                _draw_curves(panel, curves, color=color, marker=marker, linestyle=dash)
        bare(panel, metric)
        panel.set_xlabel("Epoch", fontsize=8, color=INK)
        panel.xaxis.get_major_locator().set_params(integer=True)
    for panel in panels[len(names) :]:
        panel.remove()
    _draw_legend(figure, runs, styles, names)
    if file is not None:
        figure.savefig(file)
    return figure


def _styles(runs, reference):
    """Returns colour and marker of each name."""
    if reference is not None and reference not in runs:
        raise ValueError(
            "`reference` must be the name of a history. "
            f"Received: reference={reference!r}. Available: {list(runs)}"
        )
    colors = _COLORS if reference is None else OTHERS
    others = ((color, marker) for marker in itertools.cycle(_MARKERS) for color in colors)
    return [(REFERENCE, "") if name == reference else next(others) for name in runs]


def _draw_curves(panel, curves, **style):
    """Draws the curves of one kind, thin, and their mean, or one alone."""
    if not curves:
        return
    several = len(curves) > 1
    for curve in curves if several else ():
        _draw_curve(panel, curve, linewidth=0.7, alpha=0.45, **{**style, "marker": ""})
    shortest = min(map(len, curves))
    mean = np.mean([curve[:shortest] for curve in curves], axis=0)
    _draw_curve(panel, mean, linewidth=1.8, **style)


def _draw_curve(panel, curve, **style):
    epochs = np.arange(1, len(curve) + 1)
    known = np.isfinite(curve)
    if known.sum() == 1 and not style["marker"]:  # a line of one point does not show
        style["marker"] = "o"
    panel.plot(epochs[known], curve[known], markersize=4, **style)


def _draw_legend(figure, runs, styles, names):
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=color, marker=marker, markersize=4, label=plain(name))
        for name, (color, marker) in zip(runs, styles, strict=True)
    ]
    all_runs = [run for of_kind in runs.values() for run in of_kind]
    for prefix, dash, label in (("", "--", "training"), ("val_", "-", "validation")):
        if any(f"{prefix}{name}" in run for name in names for run in all_runs):
            handles.append(Line2D([], [], color="grey", linestyle=dash, label=label))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=5,
        frameon=False,
        labelcolor=INK,
        fontsize=9,
    )


def _runs(histories):
    """Returns for each name a list of runs, each a dict of arrays by metric."""
    if not isinstance(histories, Mapping):
        raise TypeError(
            "A dict of histories by name was expected, such as `{'student': history}`. "
            f"Received: histories={histories!r} (of type {type(histories).__name__})"
        )
    if not histories:
        raise ValueError("At least one history was expected. Received: histories={}")
    runs = {}
    for name, given in histories.items():
        if not isinstance(name, str):
            raise TypeError(f"Names of histories are strings. Received: name={name!r}")
        several = isinstance(given, list | tuple)
        each = given if several else [given]
        places = [f"histories[{name!r}]" + (f"[{i}]" * several) for i in range(len(each))]
        if not each:
            raise ValueError(f"At least one history was expected. Received: histories[{name!r}]=[]")
        runs[name] = [_run(place, run) for place, run in zip(places, each, strict=True)]
    return runs


def _run(place, given):
    """Returns the curves that are one number an epoch."""
    if isinstance(given, keras.callbacks.History):
        given = given.history
    if not isinstance(given, Mapping) or not all(
        isinstance(name, str) and isinstance(values, list | tuple | np.ndarray)
        for name, values in given.items()
    ):
        raise TypeError(
            "What `fit` returned was expected, its `.history`, or a list of these, by a name of "
            f"yours. Received: {place}={given!r} (of type {type(given).__name__})"
        )
    lengths = {name: len(values) for name, values in given.items()}
    if not any(lengths.values()):
        raise ValueError(f"A history of at least one epoch was expected. Received: {place}={given}")
    if len(set(lengths.values())) > 1:
        raise ValueError(
            "One value for every epoch was expected. Where only some epochs were validated "
            "(`validation_freq`), a history does not say which: put NaN for the others. "
            f"Received: {place} with {lengths} values"
        )
    return {name: curve for name, values in given.items() if (curve := _curve(values)) is not None}


def _curve(values):
    """Returns values as floats, or None where an epoch has more than a number, or something else.

    A metric may give one number a class, for instance.
    """
    try:
        curve = np.asarray(values, "float64")
    except (TypeError, ValueError):
        return None
    return curve if curve.ndim == 1 else None


def _metrics(runs, wanted):
    """Returns the metrics to draw, without `val_`."""
    all_runs = [run for of_kind in runs.values() for run in of_kind]
    sets = [dict.fromkeys(name.removeprefix("val_") for name in run) for run in all_runs]
    if wanted is None:
        common = [name for name in sets[0] if all(name in known for known in sets)]
        if not common:
            raise ValueError(
                "Histories with a metric in common were expected. Received: metrics "
                f"{[list(known) for known in sets]}"
            )
        return sorted(common, key=lambda name: name != "loss")
    if isinstance(wanted, str) or not isinstance(wanted, Sequence) or not wanted:
        raise TypeError(
            f"`metrics` must be a list of names, such as ['loss']. Received: metrics={wanted!r}"
        )
    available = list(dict.fromkeys(itertools.chain(*sets)))
    unknown = [name for name in wanted if name not in available]
    if unknown:
        raise ValueError(
            "`metrics` are names of curves with one number an epoch, without `val_`. "
            f"Received: metrics={list(wanted)}. Not known: {unknown}. Available: {available}"
        )
    return list(wanted)
