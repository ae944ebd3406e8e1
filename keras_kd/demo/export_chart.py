"""What each export costs, and what it is right on."""

from keras_kd.evaluation.figure_style import GRID, INK, OTHERS, figure_class
from keras_kd.evaluation.table_column import size


def draw_exports(exports, path):
    """Draws the exports as lines of dots: size, latency, and how often they are right.

    Args:
        exports: `(label, ExportResult)`s.
        path: The file to write.
    """
    results = [result for _, result in exports]
    columns = [
        ("Size", [r.size_bytes for r in results], size),
        ("Latency of one example (ms)", [r.latency.median for r in results], "{:.3g}".format),
        ("Agreement with the student (%)", [100 * r.agreement for r in results], "{:.2f}".format),
    ]
    if all(r.export_metric is not None for r in results):
        right = [100 * r.export_metric for r in results]
        columns.append(("Accuracy (%)", right, "{:.2f}".format))
    size_in_inches = (11, 0.9 + 0.4 * len(exports))
    figure = figure_class()(figsize=size_in_inches, dpi=150, layout="constrained")
    panels = figure.subplots(1, len(columns), sharey=True)
    for panel, (head, values, text) in zip(panels, columns, strict=True):
        _draw_column(panel, head, values, text)
    panels[0].set_yticks(range(len(exports)), [label for label, _ in exports])
    panels[0].set_ylim(len(exports) - 0.4, -0.7)
    figure.savefig(path)


def _draw_column(panel, head, values, text):
    places = range(len(values))
    panel.scatter(values, places, s=40, color=OTHERS[0], zorder=3)
    for value, place in zip(values, places, strict=True):
        beside = {"xytext": (0, 8), "textcoords": "offset points", "ha": "center"}
        panel.annotate(text(value), (value, place), fontsize=8, color=INK, **beside)
    if head in ("Size", "Latency of one example (ms)"):  # a bar from 0 is what they are of
        panel.barh(places, values, height=0.08, color=OTHERS[0], alpha=0.5)
        panel.set_xlim(-0.15 * max(values), 1.25 * max(values))
    else:
        panel.margins(x=0.3)
    panel.set_title(head, fontsize=9, loc="left", color=INK)
    panel.grid(color=GRID, linewidth=0.6, axis="x")
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.spines["bottom"].set_color(GRID)
    panel.tick_params(left=False, labelcolor=INK, color=GRID, labelsize=8, labelbottom=False)
