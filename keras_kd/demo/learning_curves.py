"""How each net of a run learned."""

import itertools

from keras_kd.demo.figure import INK, OTHERS, TEACHER, new_figure, plain

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
    figure = new_figure(3.8)
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for panel, metric in zip(panels, metrics, strict=True):
        others = itertools.cycle(OTHERS)
        for name, nets in histories.items():
            color = TEACHER if name == "teacher" else next(others)
            for place, curves in enumerate(nets):
                scale = 1.0 if metric == "loss" else 100.0
                values = [scale * value for value in curves[metric]]
                label = name.replace("$", r"\$") if place == 0 else None
                style = {"color": color, "alpha": 0.8, "linewidth": 1.2, "label": label}
                marker = "." if len(values) < 6 else None
                panel.plot(range(1, len(values) + 1), values, marker=marker, **style)
        panel.set_title(_NAMES[metric], fontsize=10, loc="left", color=INK)
        panel.set_xlabel("Epoch", color=INK)
        panel.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        plain(panel)
    panels[-1].legend(frameon=False, fontsize=9, labelcolor=INK)
    figure.savefig(path)
