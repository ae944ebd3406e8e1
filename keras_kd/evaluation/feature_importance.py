"""What answers depend on, as a table and a picture."""

from __future__ import annotations

import html
import io
import os
import pathlib
from typing import TYPE_CHECKING, Any

from keras_kd.checks import local_path
from keras_kd.evaluation.figure_style import figure_path
from keras_kd.evaluation.importance_figure import draw_importance
from keras_kd.evaluation.report import html_document, html_image, scrolling
from keras_kd.evaluation.table_column import DASH, number, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ALT = (
    "Bars, one a feature and model: how much worse answers become where the feature's values are "
    "permuted, with the standard deviation over the permutations. The table above has the figures."
)


class FeatureImportance:
    """What `importance` has found; prints as a table, also in notebooks.

    Args:
        rows: One dict a feature and model.
        baseline: For each model its figures without a permutation.
        repeats: How many permutations there were.
        examples: How many examples.

    Attributes:
        rows: In the order given. Each has `model`, `feature`, `kind` (`"input"`, `"layer"` or
            `"channel"`), and by figure how much worse it became on average, with the standard
            deviation over the permutations as `accuracy_sd` and so on (None of one permutation):
            `accuracy` (a fraction) and `nll`, of a regression `mae` and `mse`.
        baseline: See above.
        repeats: See above.
        examples: See above.

    Example:

    >>> from keras_kd.evaluation import FeatureImportance
    >>> row = {"model": "student", "feature": "column 0", "kind": "input"}
    >>> row |= {"mae": 0.5, "mae_sd": 0.02, "mse": 1.25, "mse_sd": None}
    >>> baseline = {"student": {"mae": 1.0, "mse": 2.0}}
    >>> print(FeatureImportance([row], baseline, repeats=5, examples=90))
    | Feature | MAE | MSE |
    |:--|--:|--:|
    | column 0 | 0.5000 ± 0.02 | 1.250 |
    <BLANKLINE>
    How much worse, mean ± standard deviation of 5 permutations over 90 examples.
    """

    def __init__(
        self,
        rows: list[dict[str, Any]],
        baseline: dict[str, dict[str, float]],
        *,
        repeats: int,
        examples: int,
    ) -> None:
        self.rows = rows
        self.baseline = baseline
        self.repeats = repeats
        self.examples = examples

    @property
    def figures(self) -> list[str]:
        """The names of the figures, the one that features are ordered by last."""
        return list(next(iter(self.baseline.values())))

    @property
    def features(self) -> list[str]:
        """The features in the order of the table: what matters most to the first model first.

        An input and a layer of one name have `(input)` and `(layer)` behind it.
        """
        decides = self.figures[-1]
        found: dict[str, float] = {}
        for row in self._labelled():
            found.setdefault(row["feature"], row[decides])
        return sorted(found, key=lambda feature: -found[feature])

    def to_markdown(self) -> str:
        """The table in Markdown, the most important feature first.

        Accuracy is in points. A dash stands where a model has no such feature.

        Returns:
            The text, without a line break at its end.
        """
        head, *body = ["| " + " | ".join(_escaped(line)) + " |" for line in self._table()]
        rule = "|:--|" + "--:|" * (len(self._table()[0]) - 1)
        return "\n".join([head, rule, *body, "", self._said()])

    def plot(self, path: str | os.PathLike | None = None, most: int = 20) -> Figure:
        """Draws the features as bars, one a model, with the deviation over the permutations.

        Args:
            path: Where to write the figure, or None; its suffix (`.png`, `.svg`, `.pdf`) is the
                format.
            most: How many features are drawn, the most important ones. Default 20.

        Returns:
            A `matplotlib.figure.Figure`; it belongs to no window, so nothing has to be closed.

        Raises:
            ImportError: If matplotlib is missing.
            TypeError, ValueError: If it cannot be written there.
        """
        file = figure_path(path)
        figure = draw_importance(self._labelled(), self.features[:most], self.figures)
        if file is not None:
            figure.savefig(file)
        return figure

    def to_html(self, path: str | os.PathLike) -> pathlib.Path:
        """Writes a page with table and picture in one file that needs no other.

        Args:
            path: The file to write.

        Returns:
            The path.

        Raises:
            ImportError: If matplotlib is missing.
        """
        file, buffer = local_path("path", path), io.BytesIO()
        self.plot().savefig(buffer, format="png")
        picture = scrolling(html_image(buffer.getvalue(), _ALT), "Picture of all features")
        body = "\n".join([self._repr_html_(), picture])
        file.write_text(html_document("What answers depend on", body), encoding="utf-8")
        return file

    def _labelled(self):
        """The rows, each feature by a name that only it has."""
        kinds: dict[str, set[str]] = {}
        for row in self.rows:
            kinds.setdefault(row["feature"], set()).add(row["kind"])
        return [
            {**row, "feature": f"{row['feature']} ({row['kind']})"}
            if len(kinds[row["feature"]]) > 1
            else row
            for row in self.rows
        ]

    def _table(self):
        """The cells as texts, heads first."""
        models, by_place = list(self.baseline), {}
        for row in self._labelled():
            by_place[row["feature"], row["model"]] = row
        heads = ["Feature"]
        for model in models:
            of = f"{model}: " if len(models) > 1 else ""
            heads += [of + _head(figure) for figure in self.figures]
        lines = [heads]
        for feature in self.features:
            cells = [feature]
            for model in models:
                row = by_place.get((feature, model), {})
                cells += [_cell(row, figure) for figure in self.figures]
            lines.append(cells)
        return lines

    def _said(self):
        of = "one permutation" if self.repeats == 1 else f"{self.repeats} permutations"
        spread = "" if self.repeats == 1 else ", mean ± standard deviation"
        return f"How much worse{spread} of {of} over {self.examples:,} examples."

    def _repr_html_(self):
        heads, *body = [[html.escape(cell) for cell in line] for line in self._table()]
        head = "".join(f'<th scope="col">{cell}</th>' for cell in heads)
        lines = [f"<p>{html.escape(self._said())}</p>", f"<table>\n<thead><tr>{head}</tr></thead>"]
        lines.append("<tbody>")
        for feature, *cells in body:
            row = "".join(f"<td>{cell}</td>" for cell in cells)
            lines.append(f'<tr><th scope="row">{feature}</th>{row}</tr>')
        lines.append("</tbody>\n</table>")
        return scrolling("\n".join(lines), "Table of all features")

    def __str__(self) -> str:
        return self.to_markdown()

    def __repr__(self) -> str:
        return f"FeatureImportance(features={len(self.features)}, models={list(self.baseline)})"


def _head(figure):
    return "Accuracy (points)" if figure == "accuracy" else figure.upper()


def _cell(row, figure):
    if figure not in row:
        return DASH
    text, spread = (percent if figure == "accuracy" else number), row[f"{figure}_sd"]
    mean = text(row[figure])
    mean = mean.removeprefix("-") if float(mean) == 0.0 else mean
    if spread is None:
        return mean
    return f"{mean} ± {percent(spread) if text is percent else f'{spread:.2g}'}"


def _escaped(line):
    return [cell.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ") for cell in line]
