"""What the demo's pictures have in common."""

try:
    from matplotlib.figure import Figure
except ImportError as error:
    raise ImportError('The demo needs more: `pip install "keras_kd[demo]"`.') from error

INK, GRID = "#333333", "#dddddd"
# As in the comparison: Okabe and Ito's palette, which the colour-blind tell apart.
TEACHER, *OTHERS = "#D55E00", "#0072B2", "#009E73", "#CC79A7"


def new_figure(height: float) -> Figure:
    """Returns an empty figure as wide as the report, in inches; it belongs to no window."""
    return Figure(figsize=(11, height), dpi=150, layout="constrained")


def plain(panel, *, sides=("left", "bottom")):
    """Leaves of a panel's frame the `sides`, and makes them light."""
    panel.grid(color=GRID, linewidth=0.6, axis="both" if "left" in sides else "x")
    for side, spine in panel.spines.items():
        spine.set_visible(side in sides)
        spine.set_color(GRID)
    panel.tick_params(left="left" in sides, labelcolor=INK, color=GRID)
