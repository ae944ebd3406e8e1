"""How each net of a run learned."""

import matplotlib.figure

# Okabe and Ito's palette, which the colour-blind tell apart.
_COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7")
_INK, _GRID = "#333333", "#dddddd"
_NAMES = {
    "loss": "Training loss, of each kind its own",
    "val_accuracy": "Accuracy on the validation split (%)",
    "val_agreement": "Agreement with the teacher on the validation split (%)",
}


def draw_learning_curves(histories, path):
    """Draws every net's curves, in one colour for each kind.

    Args:
        histories: `{name: [{metric: values by epoch}]}`, one dict a net.
        path: The file to write.
    """
    metrics = [key for key in _NAMES if key in next(iter(histories.values()))[0]]
    figure = matplotlib.figure.Figure(figsize=(11, 3.8), dpi=150, layout="constrained")
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for panel, metric in zip(panels, metrics, strict=True):
        scale = 1.0 if metric == "loss" else 100.0
        for number, (name, nets) in enumerate(histories.items()):
            color = _COLORS[number % len(_COLORS)]
            for place, curves in enumerate(nets):
                values = [scale * value for value in curves[metric]]
                epochs = range(1, len(values) + 1)
                label = name.replace("$", r"\$") if place == 0 else None
                style = {"color": color, "alpha": 0.8, "linewidth": 1.2, "label": label}
                panel.plot(epochs, values, marker="." if len(values) < 6 else None, **style)
        panel.set_title(_NAMES[metric], fontsize=10, loc="left", color=_INK)
        panel.set_xlabel("Epoch", color=_INK)
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.grid(color=_GRID, linewidth=0.6)
        panel.spines[["top", "right"]].set_visible(False)
        panel.spines[["left", "bottom"]].set_color(_GRID)
        panel.tick_params(labelcolor=_INK, color=_GRID)
    panels[-1].legend(frameon=False, fontsize=9, labelcolor=_INK)
    figure.savefig(path)
