"""Draws the picture of the README and the site's first page from what `make demo` has trained.

make demo
.venv/bin/python docs/demo_picture.py runs/digits
"""

import pathlib
import sys

import keras
import numpy as np
from matplotlib.figure import Figure

from keras_kd.data import digits

KINDS = {
    "teacher": ("The teacher, 55 times as large", "#D55E00"),
    "student_alone_*": ("Student, 100 labels", "#0072B2"),
    "student_distilled_*": ("Student, 100 labels + teacher", "#009E73"),
    "student_all_labels_*": ("Student, all 1,077 labels", "#CC79A7"),
}
INK, GRID = "#333333", "#dddddd"


def accuracies(folder):
    """Returns the test accuracy in % of each net, by kind."""
    images, labels = digits().arrays("test")
    found = {}
    for pattern in KINDS:
        files = sorted((folder / "models").glob(f"{pattern}.keras"))
        models = [keras.saving.load_model(file, compile=False) for file in files]
        answers = [model.predict(images, verbose=0).argmax(-1) for model in models]
        found[pattern] = [100 * np.mean(answer == labels) for answer in answers]
    return found


def draw(found, path):
    """One line a kind, one dot a seed, a tick and a number for the mean."""
    figure = Figure(figsize=(8, 2.5), dpi=150, layout="constrained")
    panel = figure.subplots()
    for place, (pattern, values) in enumerate(found.items()):
        _, color = KINDS[pattern]
        mean = np.mean(values)
        panel.scatter(values, [place] * len(values), s=60, color=color, alpha=0.75, zorder=3)
        panel.vlines(mean, place - 0.28, place + 0.28, color=color, linewidth=2, zorder=2)
        spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
        beside = {"xytext": (0, 13), "textcoords": "offset points", "ha": "center"}
        panel.annotate(f"{mean:.1f}{spread}", (mean, place), fontsize=9, color=INK, **beside)
    names = [KINDS[pattern][0] for pattern in found]
    panel.set_yticks(range(len(names)), names, fontsize=10, color=INK)
    panel.set_ylim(len(names) - 0.5, -0.9)
    panel.set_xlabel("test images right, in %: a dot a seed, a tick the mean", color=INK)
    panel.grid(axis="x", color=GRID, linewidth=0.6)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.spines["bottom"].set_color(GRID)
    panel.tick_params(left=False, labelcolor=INK, color=GRID)
    figure.savefig(path)


if __name__ == "__main__":
    right = accuracies(pathlib.Path(sys.argv[1]))
    for kind, values in right.items():
        print(f"{KINDS[kind][0]}: {', '.join(f'{value:.2f}' for value in values)}")
    draw(right, pathlib.Path(__file__).parent / "demo.png")
