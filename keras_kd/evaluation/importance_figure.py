"""The picture of what answers depend on."""

import itertools

from keras_kd.evaluation.figure_style import INK, OTHERS, bare, figure_class, plain

_NAMES = {
    "accuracy": "Accuracy, points lost",
    "nll": "NLL, rise",
    "mae": "MAE, rise",
    "mse": "MSE, rise",
}


def draw_importance(rows: list[dict], features: list[str], figures: list[str]):
    """Draws a panel of bars for each figure.

    Args:
        rows: As `FeatureImportance` has them.
        features: Which to draw, from top to bottom.
        figures: Which figures.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ImportError: If matplotlib is missing.
    """
    by_place = {(row["feature"], row["model"]): row for row in rows}
    models = list(dict.fromkeys(row["model"] for row in rows))
    height = 1.1 + 0.2 * len(features) * (len(models) + 0.5)
    figure = figure_class()(figsize=(11, height), dpi=150, layout="constrained")
    panels = figure.subplots(1, len(figures), squeeze=False, sharey=True)[0]
    for panel, name in zip(panels, figures, strict=True):
        bare(panel, _NAMES[name])
        for place, (model, color) in enumerate(zip(models, itertools.cycle(OTHERS), strict=False)):
            _draw_bars(panel, by_place, features, (model, name), (place, len(models), color))
        panel.axvline(0.0, color=INK, linewidth=0.8)
        panel.set_yticks(range(len(features)), [plain(each) for each in features])
    panels[0].set_ylim(len(features) - 0.4, -0.6)
    if len(models) > 1:
        panels[-1].legend(fontsize=8, frameon=False, loc="lower right")
    return figure


def _draw_bars(panel, by_place, features, of, look):
    """Draws one model's bars, beside those of the others."""
    (model, name), (place, count, color) = of, look
    scale, width = (100.0 if name == "accuracy" else 1.0), 0.8 / count
    shift = (place - (count - 1) / 2) * width
    found = [
        (spot + shift, by_place[feature, model])
        for spot, feature in enumerate(features)
        if (feature, model) in by_place
    ]
    spots = [spot for spot, _ in found]
    values = [scale * row[name] for _, row in found]
    spreads = [scale * (row[f"{name}_sd"] or 0.0) for _, row in found]
    panel.barh(
        spots,
        values,
        0.9 * width,
        xerr=spreads,
        color=color,
        alpha=0.8,
        label=plain(model),
        error_kw={"ecolor": INK, "elinewidth": 0.8, "capsize": 2},
    )
