"""Accuracy against operations, by the threshold at which examples leave."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_kd.checks import check_number
from keras_kd.data.batches import batches
from keras_kd.evaluation.table_column import DASH, count, percent
from keras_kd.features.predict_on_batch import predict_on_batch
from keras_kd.schemes.self_distiller import SelfDistiller


@dataclasses.dataclass(frozen=True)
class ExitTable:
    """What each threshold costs and brings.

    Attributes:
        rows: For each threshold a dict of `threshold`, `accuracy` (0 to 1), `flops` (mean of an
            example, or None where they are not known) and `shares`, `{exit: share of examples}`.

    Example:

    >>> from keras_kd.schemes import ExitTable
    >>> shares = {"stage1": 0.75, "deepest": 0.25}
    >>> row = {"threshold": 0.9, "accuracy": 0.9512, "flops": 12_345.0, "shares": shares}
    >>> print(ExitTable([row]))
    | Threshold | Accuracy (%) | FLOPs | Left at stage1 (%) | Left at deepest (%) |
    | --: | --: | --: | --: | --: |
    | 0.9 | 95.12 | 12.3 K | 75.00 | 25.00 |
    """

    rows: list[dict[str, Any]]

    def to_markdown(self) -> str:
        """The table in Markdown; a dash stands for operations that are not known."""
        exits = list(self.rows[0]["shares"])
        head = ["Threshold", "Accuracy (%)", "FLOPs", *(f"Left at {name} (%)" for name in exits)]
        lines = [head, ["--:"] * len(head)]
        for row in self.rows:
            flops = DASH if row["flops"] is None else count(round(row["flops"]))
            shares = [percent(share) for share in row["shares"].values()]
            lines.append([f"{row['threshold']:g}", percent(row["accuracy"]), flops, *shares])
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    def __str__(self) -> str:
        return self.to_markdown()


def exit_table(
    distiller: SelfDistiller, data: Any, thresholds: Sequence[float] = (0.0, 0.5, 0.8, 0.9, 0.99, 2)
) -> ExitTable:
    """Returns how accuracy and operations change with the threshold of `early_exit`.

    Every exit answers every example once; what each threshold would have done is read off these
    answers. Choose the threshold on validation data, not on test data.

    Args:
        distiller: A trained `SelfDistiller`.
        data: `(x, y)` of arrays, or a batched data set of such pairs; y are class numbers `(N,)`
            or one-hot rows `(N, C)`.
        thresholds: Numbers of at least 0: at 0 all examples leave at the first exit, above 1 (the
            last of the default) all run through the whole model.

    Returns:
        An `ExitTable`, which prints as Markdown.

    Raises:
        TypeError: If `distiller` is no `SelfDistiller`.
        ValueError: If there are no labels, or `early_exit` refuses the model or a threshold.

    Example:

    >>> import keras_kd, numpy as np
    >>> from keras_kd.models import mlp
    >>> model = mlp((4,), 3, hidden=(8, 8))
    >>> distiller = keras_kd.schemes.SelfDistiller(model, exits=["hidden1"])
    >>> table = keras_kd.schemes.exit_table(distiller, (np.ones((5, 4)), np.zeros(5)), [0.0, 2])
    >>> table.rows[0]["shares"]
    {'hidden1': 1.0, 'deepest': 0.0}
    """
    if not isinstance(distiller, SelfDistiller):
        raise TypeError(
            "A keras_kd.schemes.SelfDistiller was expected. Received: "
            f"distiller={type(distiller).__name__}"
        )
    thresholds = [check_number("thresholds", each, least=0.0) for each in thresholds]
    early = distiller.early_exit(min(thresholds, default=0.0))
    labels: list[np.ndarray] = []
    outputs: dict[str, list[np.ndarray]] = {name: [] for name in early.names}
    for x, y, _ in batches(data):
        if y is None or isinstance(y, dict | list | tuple):
            raise ValueError(f"`data` must have one array of labels, (x, y). Received: y={y!r}")
        labels.append(y.argmax(-1) if y.ndim == 2 and y.shape[-1] > 1 else y.reshape(-1))
        for name, each in predict_on_batch(distiller, x).items():
            outputs[name].append(np.asarray(each))
    answers = [np.concatenate(outputs[name]) for name in early.names]
    right = np.stack([each.argmax(-1) for each in answers]) == np.concatenate(labels)
    rows = []
    for threshold in thresholds:
        early.threshold = threshold
        sure = np.stack([early.sure(each) for each in answers])
        sure[-1] = True  # where all leave that are still there
        exits = sure.argmax(0)
        shares = np.bincount(exits, minlength=len(answers)) / len(exits)
        known = early.flops and list(early.flops.values())
        rows.append(
            {
                "threshold": threshold,
                "accuracy": float(right[exits, np.arange(len(exits))].mean()),
                "flops": known and float(shares @ known),
                "shares": dict(zip(early.names, shares.tolist(), strict=True)),
            }
        )
    return ExitTable(rows)
