"""Pictures of the benchmark pages, drawn from the tables that stand in them."""

import pathlib

from matplotlib.figure import Figure

_INK, _GRID, _BLUE, _ORANGE = "#333333", "#dddddd", "#0072B2", "#D55E00"


def _tables(page, heading):
    """Returns the tables below a heading, each a list of rows, each a list of cells."""
    text = page.read_text(encoding="utf-8")
    start = text.index(heading)
    end = text.find("\n## ", start + 1)
    tables, rows = [], []
    for line in [*text[start : end if end > 0 else None].splitlines(), ""]:
        line = line.replace("`", "").replace("*", "")
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            tables.append([rows[0], *rows[2:]])  # without the rule
            rows = []
    return tables


def _mean_and_sd(cell):
    mean, _, sd = cell.partition(" ± ")
    return float(mean), float(sd or 0)


def _dots(panel, names, values, spreads, colors):
    places = range(len(names))
    panel.errorbar(values, places, xerr=spreads, fmt="none", ecolor="#999999", elinewidth=1)
    panel.scatter(values, places, color=colors, s=28, zorder=3)
    panel.set_yticks(list(places), names)
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.grid(axis="x", color=_GRID, linewidth=0.6)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.spines["bottom"].set_color(_GRID)
    panel.tick_params(left=False, labelsize=8, labelcolor=_INK, color=_GRID)


def _losses(page, path):
    """Accuracy beside the labels, and what a step costs."""
    (rows,) = _tables(page, "## WRN-16-2 to ResNet-8")
    rows = [row for row in rows[1:] if row[2]]
    alone = _mean_and_sd(rows[0][2])[0]
    rows.sort(key=lambda row: -_mean_and_sd(row[2])[0])
    names = [row[0] for row in rows]
    means, spreads = zip(*(_mean_and_sd(row[2]) for row in rows), strict=True)
    figure = Figure(figsize=(9, 0.21 * len(rows) + 0.9), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 1])
    colors = [_ORANGE if name == "student alone" else _BLUE for name in names]
    _dots(left, names, means, spreads, colors)
    left.axvline(alone, color=_ORANGE, linewidth=0.8)
    left.set_xlabel("test accuracy in %, mean and standard deviation of 3 seeds", fontsize=8)
    timed = [(place, float(row[-1])) for place, row in enumerate(rows) if row[-1]]
    right.scatter([time for _, time in timed], [place for place, _ in timed], color=_BLUE, s=20)
    right.set_xlabel("time of a step, student alone = 1", fontsize=8)
    right.grid(axis="x", color=_GRID, linewidth=0.6)
    right.spines[["top", "right", "left"]].set_visible(False)
    right.tick_params(left=False, labelsize=8)
    figure.savefig(path)


def _tasks(page, path):
    """Sentences with a tenth of the labels."""
    table = next(
        table
        for table in _tables(page, "## Sentences: BERT")
        if any("few labels" in row[0] for row in table)
    )
    rows = table[1:]
    means, spreads = zip(*(_mean_and_sd(row[1]) for row in rows), strict=True)
    colors = ["#009E73" if "all sentences" in row[0] else _BLUE for row in rows]
    colors[0] = _ORANGE
    figure = Figure(figsize=(7, 2.4), layout="constrained")
    panel = figure.subplots()
    _dots(panel, [row[0] for row in rows], means, spreads, colors)
    panel.set_xlabel("test accuracy in %, trec6, 490 labels", fontsize=8)
    figure.savefig(path)


def _speed(page, path):
    """Examples a second, student.fit = 1."""
    text = page.read_text(encoding="utf-8")
    heads = [line for line in text.splitlines() if line.startswith("## ") and " on " in line]
    shown = ("keras.distillation, outputs", "live, float32", "cached on disk")
    figure = Figure(figsize=(9, 2.2), layout="constrained")
    for panel, head in zip(figure.subplots(1, len(heads), sharey=True), heads, strict=True):
        rows = {row[0]: row for row in _tables(page, head)[0][1:]}
        values = [float(rows[name][2].split()[0]) for name in shown]
        _dots(panel, shown, values, [0] * len(values), [_ORANGE, _BLUE, "#009E73"])
        panel.axvline(1, color="#999999", linewidth=0.8)
        panel.set_xlim(0, 1.1)
        panel.set_title(head[3:].replace(" to ", "\nto "), fontsize=7, loc="left", color=_INK)
    figure.savefig(path)


def _gpu(page, path):
    """Share of the bound, by pair and step."""
    text = page.read_text(encoding="utf-8")
    heads = [line for line in text.splitlines() if line.startswith("### ") and "batches of" in line]
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    panel = figure.subplots()
    steps = ("live, float32", "live, one feature layer", "answers carried in the data")
    colors = (_BLUE, "#CC79A7", "#009E73")
    for step, color in zip(steps, colors, strict=True):
        found = [
            (place, float(row[3]))
            for place, head in enumerate(heads)
            for row in _tables(page, head)[0]
            if row[0] == step
        ]
        values = [share for _, share in found]
        panel.scatter(values, [place for place, _ in found], color=color, s=30, label=step)
    panel.set_yticks(
        range(len(heads)), [head[4:].replace(", batches", ",\nbatches") for head in heads]
    )
    panel.set_ylim(len(heads) - 0.4, -0.6)
    panel.axvline(1, color="#999999", linewidth=0.8)
    panel.grid(axis="x", color=_GRID, linewidth=0.6)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.tick_params(left=False, labelsize=8)
    panel.set_xlabel("share of the speed that the two models' own times allow", fontsize=8)
    panel.legend(fontsize=8, frameon=False)
    figure.savefig(path)


_DRAWN = {"losses": _losses, "tasks": _tasks, "speed": _speed, "gpu": _gpu}


def _draw(app):
    docs = pathlib.Path(app.srcdir)
    folder = docs / "evidence" / "drawn"
    folder.mkdir(exist_ok=True)
    for name, draw in _DRAWN.items():
        page, path = docs.parent / "benchmarks" / f"{name}.md", folder / f"{name}.svg"
        if not path.exists() or path.stat().st_mtime < page.stat().st_mtime:
            draw(page, path)


def setup(app):
    """Registers with Sphinx."""
    app.connect("builder-inited", _draw, priority=50)
    return {"parallel_read_safe": True}
