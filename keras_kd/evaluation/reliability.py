"""Reliability diagrams: how often a model is right where it is so sure."""

from __future__ import annotations

import dataclasses
import itertools
import os
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_kd.checks import check_whole_number
from keras_kd.evaluation.classification import class_labels, log_probabilities
from keras_kd.evaluation.expected_calibration_error import bin_of
from keras_kd.evaluation.figure_style import INK, OTHERS, REFERENCE, bare, figure_class, figure_path
from keras_kd.evaluation.find_task import find_task
from keras_kd.evaluation.opened import Comparable, all_opened
from keras_kd.evaluation.predictions import predict_all

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANELS_A_ROW = 4


@dataclasses.dataclass(frozen=True)
class Reliability:
    """Confidence and accuracy of a model, bin by bin.

    Bins are those of `ExpectedCalibrationError`: ((m - 1) / M, m / M] of the largest probability.

    Attributes:
        weight: Array `(M,)`, sum of the weights of each bin's examples, their number without
            weights.
        confidence: Array `(M,)`, mean of their largest probabilities; NaN in an empty bin.
        accuracy: Array `(M,)`, share of those that are right; NaN in an empty bin.
    """

    weight: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def ece(self) -> float:
        """Expected calibration error: the gaps' mean, weighted by the examples in each bin."""
        gaps = np.abs(self.accuracy - self.confidence)
        return float(np.nansum(self.weight * gaps) / self.weight.sum())


def reliability(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None, bins: int = 15
) -> Reliability:
    """Counts a model's answers.

    Args:
        labels: Array `(N,)` of whole numbers.
        probabilities: Array `(N, C)`.
        weights: Weights `(N,)` of the examples, or None.
        bins: Number of bins M.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    place = keras.ops.convert_to_numpy(bin_of(keras.ops.convert_to_tensor(confidence), bins))
    weights = np.ones(len(labels)) if weights is None else np.asarray(weights, "float64")
    weight, sure, correct = (
        np.bincount(place, weights * values, bins) for values in (1.0, confidence, right)
    )
    with np.errstate(invalid="ignore"):
        return Reliability(weight, sure / weight, correct / weight)


def plot_reliability(
    models: Mapping[str, Comparable | Sequence[Comparable]],
    data: Any,
    path: str | os.PathLike | None = None,
    bins: int = 15,
    reference: str | None = None,
) -> Figure:
    """Draws a reliability diagram of each model: accuracy against confidence.

    A bar is the accuracy of the examples of one bin of confidence, a mark their mean confidence,
    the line between the two the gap; of a calibrated model all marks lie on the bars' ends. Below
    stands the share of examples in each bin. Of several models of one kind the bins hold the
    examples of all, and the error is the mean of theirs, as in the table of `compare`.

    Args:
        models: As `compare` takes them: Keras models, exports, lists of seeds, by name.
        data: As `compare` takes them, with labels of classes.
        path: Where to write the figure, or None; its suffix (`.png`, `.svg`, `.pdf`) is the
            format.
        bins: Number of bins of equal width. Default 15, as published.
        reference: The name that has the colour of its own which `compare` gives its reference.

    Returns:
        A `matplotlib.figure.Figure`; it belongs to no window, so nothing has to be closed.

    Raises:
        ImportError: If matplotlib is missing.
        TypeError, ValueError: If `bins` is no whole number above 0, the task is no classification,
            or for what `compare` raises.

    Example:
        >>> import keras, numpy as np
        >>> from keras_kd.evaluation import plot_reliability
        >>> sure = keras.Sequential([keras.Input((2,)), keras.layers.Softmax()])
        >>> x = np.log([[0.9, 0.1], [0.3, 0.7]]).astype("float32")
        >>> figure = plot_reliability({"sure": sure}, (x, np.array([0, 0])))
        >>> figure.axes[0].get_title(loc="left")  # (|1 - 0.9| + |0 - 0.7|) / 2
        'sure\\nECE 40.00 %'

    Reference:
        Guo, Pleiss, Sun, Weinberger. On Calibration of Modern Neural Networks. ICML 2017.
    """
    file, figure = figure_path(path), figure_class()
    bins = check_whole_number("bins", bins, least=1)
    found = _reliabilities(models, data, bins)
    if reference is not None and reference not in found:
        raise ValueError(
            "`reference` must be the name of a model or of a kind. "
            f"Received: reference={reference!r}. Available: {list(found)}"
        )
    width = min(len(found), _PANELS_A_ROW)
    height = -(-len(found) // width)
    figure = figure(figsize=(3.2 * width + 0.4, 4.0 * height), dpi=150, layout="constrained")
    panels = figure.subplots(2 * height, width, squeeze=False, height_ratios=[3, 1] * height)
    colors = itertools.cycle(OTHERS)
    pairs = [*zip(panels[::2].flat, panels[1::2].flat, strict=True)]
    for (upper, lower), (name, of_kind) in zip(pairs, found.items(), strict=False):
        bare(upper, f"{name}\nECE {_error(of_kind)}")
        color = REFERENCE if name == reference else next(colors)
        _draw_accuracy(upper, _joined(of_kind), color)
        _draw_shares(lower, _joined(of_kind))
    for panel in itertools.chain(*pairs[len(found) :]):
        panel.remove()
    if file is not None:
        figure.savefig(file)
    return figure


def _reliabilities(models, data, bins):
    """Returns for each kind or single model a list of `Reliability`s."""
    models, kinds = all_opened(models)
    predictions = predict_all(models, data)
    task = find_task(predictions.targets, predictions.outputs)
    if task != "classification":
        raise ValueError(
            "Reliability is of models that choose one class of several: whole numbers or one-hot "
            f"rows as targets were expected. Received: targets and outputs of task {task!r}"
        )
    labels = class_labels(predictions.targets)
    kind_of = {name: kind for kind, names in kinds.items() for name in names}
    found: dict[str, list[Reliability]] = {}
    for name, outputs in predictions.outputs.items():
        probabilities = np.exp(log_probabilities(outputs, name))
        one = reliability(labels, probabilities, predictions.weights, bins)
        found.setdefault(kind_of.get(name, name), []).append(one)
    return found


def _joined(of_kind):
    """Returns the bins of several models as those of one that has answered all their examples."""
    weights = np.stack([each.weight for each in of_kind])
    weight = weights.sum(axis=0)
    with np.errstate(invalid="ignore"):
        confidence, accuracy = (
            np.nansum(weights * np.stack(values), axis=0) / weight
            for values in ([r.confidence for r in of_kind], [r.accuracy for r in of_kind])
        )
    return Reliability(weight, confidence, accuracy)


def _error(of_kind):
    errors = [100.0 * each.ece for each in of_kind]
    spread = f" ± {statistics.stdev(errors):.2f}" if len(errors) > 1 else ""
    return f"{statistics.fmean(errors):.2f}{spread} %"


def _draw_accuracy(panel, found, color):
    bins = len(found.weight)
    centres = (np.arange(bins) + 0.5) / bins
    used = found.weight > 0
    panel.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle="--", zorder=1)
    width = 0.9 / bins
    panel.bar(centres[used], found.accuracy[used], width, color=color, alpha=0.8, zorder=2)
    panel.vlines(centres[used], found.accuracy[used], found.confidence[used], color=INK, zorder=3)
    panel.scatter(centres[used], found.confidence[used], s=10, color=INK, zorder=4)
    panel.set_xlim(0, 1)
    panel.set_ylim(0, 1.02)
    panel.set_ylabel("Accuracy (bars), confidence (dots)", fontsize=8, color=INK)


def _draw_shares(panel, found):
    bins = len(found.weight)
    bare(panel, "")
    shares = 100.0 * found.weight / found.weight.sum()
    panel.bar((np.arange(bins) + 0.5) / bins, shares, 0.9 / bins, color=INK, alpha=0.6)
    panel.set_xlim(0, 1)
    panel.set_xlabel("Confidence", fontsize=8, color=INK)
    panel.set_ylabel("Examples (%)", fontsize=8, color=INK)
