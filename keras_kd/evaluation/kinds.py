"""Models of one kind: the same architecture and recipe from several seeds."""

from __future__ import annotations

import itertools
import statistics
from typing import Any

import numpy as np

from keras_kd.evaluation.difference import Difference, interval

_COUNTED = ("parameters", "flops", "weights_bytes", "size_bytes")
# The figure that decides, and which way is better.
_DECIDES = {
    "classification": ("accuracy", "higher"),
    "multilabel": ("accuracy", "higher"),
    "regression": ("mae", "lower"),
}


def by_name(models: Any) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Returns all models by a name each, and the names by kind where models come in lists.

    Args:
        models: A dict of models, or of lists of them.

    Raises:
        ValueError: If a list is empty, or two lists are of different lengths.
    """
    flat, kinds = {}, {}
    for name, given in models.items():
        if not isinstance(given, list | tuple):
            flat[name] = given
            continue
        kinds[name] = [f"{name}, {number}" for number in range(1, len(given) + 1)]
        flat.update(zip(kinds[name], given, strict=True))
    lengths = {name: len(names) for name, names in kinds.items()}
    if len(set(lengths.values())) > 1 or 0 in lengths.values() or 1 in lengths.values():
        raise ValueError(
            "Lists hold at least two models of one kind, and all lists as many: those at one place "
            f"are of one seed, and are held against each other. Received: {lengths}"
        )
    if len(flat) < sum(lengths.values()) + len(models) - len(kinds):
        raise ValueError(f"Names must differ. Received: {list(models)}, with lists {lengths}")
    return flat, kinds


def summaries(rows: list[dict[str, Any]], kinds: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Returns one row a kind or single model: means, and with `"_sd"` at the name's end the spread.

    What one model lacks, the kind lacks.
    """
    kind_of = {row: kind for kind, names in kinds.items() for row in names}
    found: dict[str, list] = {}
    for row in rows:
        found.setdefault(kind_of.get(row["model"], row["model"]), []).append(row)
    return [
        {"model": name, **_summary(of_kind)} if name in kinds else of_kind[0]
        for name, of_kind in found.items()
    ]


def _summary(rows):
    summary: dict[str, Any] = {"seeds": len(rows)}
    for key in rows[0]:
        values = [row[key] for row in rows]
        if key == "model":
            continue
        if None in values:
            summary[key] = None
        elif key in _COUNTED or "latency" in key:
            summary[key] = statistics.median(values)
        else:
            summary[key] = statistics.fmean(values)
            summary[f"{key}_sd"] = statistics.stdev(values)
    return summary


def differences(task, kinds, targets, outputs, weights) -> list[Difference]:
    """Returns each kind held against each that stands before it.

    Args:
        task: What `find_task` said.
        kinds: Names of models by kind.
        targets: As the task's scores take them.
        outputs: Likewise, by name.
        weights: Weights `(N,)`, or None.
    """
    figure, better = _DECIDES[task]
    scores = {
        kind: np.stack([_of_examples(task, targets, outputs[name]) for name in names])
        for kind, names in kinds.items()
    }
    return [
        Difference(
            later,
            earlier,
            figure,
            *interval(scores[later], scores[earlier], weights),
            seeds=len(scores[later]),
            better=better,
        )
        for earlier, later in itertools.combinations(kinds, 2)
    ]


def _of_examples(task, targets, outputs):
    """Returns what each example adds to the mean of the figure that decides, `(N,)`."""
    count = len(targets)
    if task == "classification":
        return outputs.argmax(axis=1) == targets
    if task == "multilabel":
        return np.mean((outputs > 0) == (targets > 0), axis=1)
    return (
        np.abs(outputs.astype("float64") - targets.reshape(outputs.shape))
        .reshape(count, -1)
        .mean(axis=1)
    )
