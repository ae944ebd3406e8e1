"""Models side by side."""

from __future__ import annotations

import html
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from keras_kd.checks import local_path
from keras_kd.evaluation.difference import Difference
from keras_kd.evaluation.kinds import summaries
from keras_kd.evaluation.plots import draw, draw_png
from keras_kd.evaluation.report import html_page, html_table
from keras_kd.evaluation.tables import columns


class Comparison:
    """What `compare` has found; prints as a table, also in notebooks.

    Args:
        rows: One dict a model, `"model"` is its name.
        task: `"classification"`, `"multilabel"` or `"regression"`.
        reference: Name of the model that agreement and distance refer to, or `None`.
        examples: Number of examples, or `None`.
        kinds: Names of rows by kind, where several models are of one; none by default.
        differences: The `Difference`s between kinds.

    Attributes:
        rows: One dict a model, in the order given. Plain numbers in base units (fractions, bytes,
            milliseconds), `None` where a figure does not apply or cannot be known.

            - classification: `accuracy`, `top5_accuracy`, `precision`, `recall`, `f1`, `auc`
              (macro), `nll`, `ece`, `agreement`, `kl`
            - multi-label: `accuracy` (of single labels), `exact_match`, `precision`, `recall`,
              `f1`, `auc` (macro), `nll`, `agreement`, `kl`
            - regression: `mae`, `rmse`, `r2`, `distance`
            - all: `parameters`, `flops`, `weights_bytes` (of the weights alone), `size_bytes` (of
              the file), `latency_ms_batch1`, `latency_p95_ms_batch1`, `latency_ms_batch32`,
              `latency_p95_ms_batch32` (of a call of Keras), and the same after `runtime_`, such as
              `runtime_latency_ms_batch1` (of exports in their own runtime)
        task: See above.
        reference: See above.
        examples: See above.
        kinds: See above.
        differences: One `Difference` for each two kinds: `model`, `against`, `figure`, `mean`,
            `low`, `high`, `verdict`.
        summaries: One dict a kind or single model: means over the rows of a kind, with the standard
            deviation of `accuracy` as `accuracy_sd`, and so on.

    Example:
        >>> from keras_kd.evaluation import Comparison
        >>> rows = [{"model": "student", "mae": 0.5, "parameters": 1200}]
        >>> print(Comparison(rows, task="regression"))
        | Model | MAE | Parameters |
        |:--|--:|--:|
        | student | 0.5000 | 1,200 |
    """

    def __init__(
        self,
        rows: list[dict[str, Any]],
        *,
        task: str,
        reference: str | None = None,
        examples: int | None = None,
        kinds: dict[str, list[str]] | None = None,
        differences: Sequence[Difference] = (),
    ) -> None:
        self.rows = rows
        self.kinds = kinds or {}
        self.differences = list(differences)
        self.summaries = summaries(rows, self.kinds)
        self.task = task
        self.reference = reference
        self.examples = examples

    def to_markdown(self) -> str:
        """The table in Markdown; a dash stands for what does not apply.

        Kinds of several models are one line, mean ± standard deviation; what tells them apart
        stands below the table.

        Returns:
            The text, without a line break at its end.
        """
        shown = columns(self.task, self.rows)
        lines = [["Model", *(column.head for column in shown)]]
        for row in self.summaries:
            name = row["model"].replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
            lines.append([name, *(column.text(row) for column in shown)])
        head, *rows = ["| " + " | ".join(line) + " |" for line in lines]
        told = ["", *self.verdicts()] if self.differences else []
        return "\n".join([head, "|:--|" + "--:|" * len(shown), *rows, *told])

    def verdicts(self) -> list[str]:
        """A sentence for each two kinds: which does better, by how much, how surely."""
        heads = {column.key: column for column in columns(self.task, self.rows)}
        return [_sentence(each, heads[each.figure]) for each in self.differences]

    def to_html(self, path: str | os.PathLike) -> pathlib.Path:
        """Writes a page with table and plots in one file that needs no other.

        Args:
            path: The file to write.

        Returns:
            The path.

        Raises:
            ImportError: If matplotlib is missing.
        """
        path = local_path("path", path)
        picture = draw_png(self.rows, self.task, self.kinds, self.reference)
        page = html_page(self._caption(), self._repr_html_(), picture)
        path.write_text(page, encoding="utf-8")
        return path

    def plot(self, path: str | os.PathLike) -> pathlib.Path:
        """Draws the figures of quality as dots, one a model, and quality against size.

        Args:
            path: The file to write; its suffix (`.png`, `.svg`, `.pdf`) is the format.

        Returns:
            The path.

        Raises:
            ImportError: If matplotlib is missing.
        """
        path = local_path("path", path)
        draw(self.rows, self.task, self.kinds, self.reference).savefig(path)
        return path

    def _caption(self):
        parts = [self.task.replace("multilabel", "multi-label")]
        if self.examples is not None:
            parts.append(f"{self.examples:,} examples")
        if self.reference is not None:
            parts.append(f"reference: {self.reference}")
        return html.escape(", ".join(parts))

    def _repr_html_(self):
        told = "".join(f"\n<p>{html.escape(line)}</p>" for line in self.verdicts())
        return html_table(columns(self.task, self.rows), self.summaries) + told

    def __str__(self) -> str:
        return self.to_markdown()

    def __repr__(self) -> str:
        names = [row["model"] for row in self.rows]
        return f"Comparison(task={self.task!r}, models={names}, reference={self.reference!r})"


def _sentence(difference, column):
    """What a `Difference` says, in the unit of its column."""
    scale, unit = (100.0, " points") if column.head.endswith("(%)") else (1.0, "")
    digits = ".2f" if unit else "#.3g"
    mean, low, high = (
        f"{scale * value:+{digits}}" for value in (difference.mean, difference.low, difference.high)
    )
    figure = column.head.removesuffix(" (%)")
    figure = figure if figure.isupper() else figure.lower()
    return (
        f"{difference.model} against {difference.against}: {difference.verdict}, {figure} "
        f"{mean}{unit} (95 % interval {low} to {high}, {difference.seeds} paired models)."
    )
