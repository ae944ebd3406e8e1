"""What a model's answers depend on: permutation importance."""

from __future__ import annotations

import os
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_kd.checks import check_flag, check_whole_number
from keras_kd.data.batches import batches
from keras_kd.evaluation.example_scores import example_scores
from keras_kd.evaluation.feature_importance import FeatureImportance
from keras_kd.evaluation.find_task import find_task
from keras_kd.evaluation.opened import Comparable, all_opened
from keras_kd.evaluation.permuted_inputs import input_groups, with_permuted
from keras_kd.evaluation.permuted_layers import PermutedLayer
from keras_kd.evaluation.predictions import predict_all
from keras_kd.features.string_inputs import as_arrays
from keras_kd.features.tap import Tap
from keras_kd.runtimes import ExportedFile


def importance(
    model: Comparable | Mapping[str, Comparable],
    data: Any,
    *,
    layers: Sequence[str | Tap] | Mapping[str, Sequence[str | Tap]] | None = None,
    inputs: Sequence[Any] | Mapping[str, Any] | None = None,
    channels: bool = False,
    repeats: int = 5,
    seed: int = 0,
) -> FeatureImportance:
    """Says how much worse a model answers where it is shown some value of other examples.

    ```
    importance(f) = score(data) - mean_r score(data, f permuted by r)      accuracy
    importance(f) = mean_r loss(data, f permuted by r) - loss(data)        NLL, MAE, MSE
    r = 1 ... repeats,   r's order: np.random.default_rng([seed, r - 1]).permutation(N)
    ```

    A feature is a column of the inputs, a group of columns, one of several inputs, or what a layer
    gives. It is permuted over all N examples, and nothing else changes; the model is not trained
    again. What the model ignores has importance 0 exactly. Shuffling within batches would leave
    each value with its own example once in a batch, which makes everything look less important,
    and on data in the order of their classes next to nothing would change.

    Permuting makes examples that do not occur. Where two features say the same, a model may use
    one of them or each a little: permute them as a group to learn what they matter together. The
    deviation is that of the permutations, not of other data or other trainings.

    Args:
        model: A built Keras model with one output, or several by name, such as the student and the
            teacher; for inputs also exported files, as `compare` takes them.
        data: As `compare` takes them, with labels. All examples, and a layer's values for them, are
            held in memory: `data.take(...)` where these are large.
        layers: Names of layers, or `features.Tap`s of outputs or inputs; of several models that
            have other ones a dict of lists by model. What leads around a layer stays as it is, and
            so do masks: a sequence keeps its length, and may have another's padding within it.
        inputs: Which to permute: columns by number (of the last axis) where there is one array;
            names (of a list, positions) where there are several, and `(name, column)`; lists of
            these are permuted together. A dict labels them, `{"place": [3, 4]}`. By default, where
            no `layers` are named, every column of one array, and every one of several inputs.
        channels: Whether each channel of the layers is permuted by itself, too: entries of the last
            axis, with `data_format="channels_first"` of the second.
        repeats: How many permutations, at least 1. Every feature and model sees the same ones.
        seed: Of the permutations.

    Returns:
        A `FeatureImportance`, which prints as a table.

    Raises:
        TypeError, ValueError: If there are no labels, a layer is not there or does not run, an
            input or column is not there, or for what `compare` raises.

    Example:

    >>> import keras, numpy as np
    >>> from keras_kd.evaluation import importance
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="scores")])
    >>> model.set_weights([np.array([[9.0, -9.0], [0.0, 0.0]]), np.zeros(2)])  # column 0 alone
    >>> x = np.random.default_rng(0).normal(size=(50, 2))
    >>> found = importance(model, (x, (x[:, 0] < 0).astype(int)))
    >>> found.rows[0]["accuracy"] > 0.3, found.rows[1]["accuracy"]
    (True, 0.0)

    Reference: Breiman, "Random Forests", Machine Learning 45, 2001; Fisher, Rudin, Dominici, "All
    Models are Wrong, but Many are Useful", Journal of Machine Learning Research 20, 2019.
    """
    repeats = check_whole_number("repeats", repeats, least=1)
    seed = check_whole_number("seed", seed, least=0)
    channels = check_flag("channels", channels)
    models = _named(model)
    taps = _taps(layers, models)
    x, y, weights = _whole(data)
    groups = input_groups(inputs, x) if inputs is not None or layers is None else {}
    whole = predict_all(models, (x, y, weights))
    score = _Scores(find_task(whole.targets, whole.outputs), whole.targets, whole.weights)
    count = len(whole.targets)
    orders = [np.random.default_rng([seed, number]).permutation(count) for number in range(repeats)]
    rows = []
    for label, places in groups.items():
        permuted = [
            predict_all(models, (with_permuted(x, places, order), y, weights)).outputs
            for order in orders
        ]
        for name, before in whole.outputs.items():
            after = [outputs[name] for outputs in permuted]
            rows.append(_row(name, label, "input", score.falls(name, before, after)))
    for name, of_model in taps.items():
        for tap in of_model:
            layer = PermutedLayer(models[name], tap, x, name)
            before = layer.answers(None)
            for channel in [None, *range(layer.channels if channels else 0)]:
                after = [layer.answers(order, channel) for order in orders]
                label = tap.key if channel is None else f"{tap.key}[{channel}]"
                kind = "layer" if channel is None else "channel"
                rows.append(_row(name, label, kind, score.falls(name, before, after)))
    baseline = {name: score.means(name, before) for name, before in whole.outputs.items()}
    return FeatureImportance(rows, baseline, repeats=repeats, examples=count)


class _Scores:
    """What outputs are worth on some targets."""

    def __init__(self, task, targets, weights):
        self.task, self.targets, self.weights = task, targets, weights

    def means(self, name, outputs):
        (scores,) = example_scores(self.task, name, self.targets, outputs)
        return {figure: self._mean(values) for figure, values in scores.items()}

    def falls(self, name, before, after):
        """Returns for each figure how much worse each permutation made it."""
        whole, *permuted = example_scores(self.task, name, self.targets, before, *after)
        return {
            figure: [
                (self._mean(values) - self._mean(each[figure]))
                * (1.0 if figure == "accuracy" else -1.0)
                for each in permuted
            ]
            for figure, values in whole.items()
        }

    def _mean(self, values):
        return float(np.average(values, weights=self.weights))


def _row(model, feature, kind, falls):
    row = {"model": model, "feature": feature, "kind": kind}
    for figure, values in falls.items():
        row[figure] = statistics.fmean(values) + 0.0  # never -0.0
        row[f"{figure}_sd"] = statistics.stdev(values) if len(values) > 1 else None
    return row


def _named(model):
    """Returns models and opened files by name."""
    given = dict(model) if isinstance(model, Mapping) else {_name(model): model}
    models, kinds = all_opened(given)
    if kinds:
        raise ValueError(
            "One model a name was expected: what several seeds depend on is not one thing. "
            f"Received: lists {list(kinds)}"
        )
    return models


def _name(model):
    if isinstance(model, str | os.PathLike):
        return pathlib.Path(model).name
    return str(getattr(model, "name", None) or "model")


def _taps(layers, models):
    """Returns the taps of each model."""
    if layers is None:
        return {}
    by_model = layers if isinstance(layers, Mapping) else dict.fromkeys(models, layers)
    for name, of_model in by_model.items():
        if name not in models:
            raise ValueError(
                "`layers` by model are named as the models. "
                f"Received: layers of {name!r}. Available: {list(models)}"
            )
        if isinstance(of_model, str | Tap) or not isinstance(of_model, Sequence) or not of_model:
            raise TypeError(
                "`layers` must be a list of names of layers or keras_kd.features.Taps, or a dict "
                f"of such lists by model. Received: {of_model!r}"
            )
        if isinstance(models[name], ExportedFile):
            raise ValueError(
                "Layers are those of Keras models; into a file nobody can look. Received: "
                f"layers={list(of_model)} of the file {name!r}"
            )
    return {name: [Tap.of(each) for each in of_model] for name, of_model in by_model.items()}


def _whole(data):
    """Returns inputs, targets and weights of all examples."""
    parts = list(batches(as_arrays(data)))
    try:
        return tuple(_joined(each) for each in zip(*parts, strict=True))
    except ValueError as error:
        raise ValueError(
            "All examples must be of one shape, so that one can have a value of another: pad the "
            f"data to one length. {error}"
        ) from error


def _joined(parts):
    if parts[0] is None:
        return None
    return keras.tree.map_structure(lambda *leaves: np.concatenate(leaves), *parts)
