"""Running a model only as far as each example needs."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_kd.checks import check_number, check_whole_number
from keras_kd.data.batches import batches
from keras_kd.evaluation.flops import count_flops
from keras_kd.features.graph_cutting import between, ends, tapped
from keras_kd.features.predict_on_batch import predict_on_batch
from keras_kd.features.tap import Tap
from keras_kd.schemes.exits import DEEPEST


@dataclasses.dataclass(frozen=True)
class EarlyAnswers:
    """What examples were answered, and where they left.

    Attributes:
        outputs: Array `(N, C)`, each example's row from the exit that it left at.
        exits: Integers `(N,)`, each exit's position among `names`.
        names: The exits' names, the model's own output last.
        flops: Mean floating-point operations of an example, or None where they are not known.

    Example:

    >>> import numpy as np
    >>> from keras_kd.schemes import EarlyAnswers
    >>> found = EarlyAnswers(np.eye(4), np.array([0, 1, 0, 0]), ("stage1", "deepest"), flops=None)
    >>> found.shares
    {'stage1': 0.75, 'deepest': 0.25}
    """

    outputs: np.ndarray
    exits: np.ndarray
    names: tuple[str, ...]
    flops: float | None

    @property
    def shares(self) -> dict[str, float]:
        """The share of the examples that left at each exit, by its name."""
        counts = np.bincount(self.exits, minlength=len(self.names))
        return dict(zip(self.names, (counts / len(self.exits)).tolist(), strict=True))


class EarlyExit:
    """A model with exits, run stage by stage: what is sure enough leaves, the rest goes on.

    `SelfDistiller.early_exit` makes it. Examples that stay are gathered into full batches, so that
    a stage is compiled for one size; those of the last batch are filled up. What is counted as
    operations is each example's own way: the layers up to its exit, and the heads it passed.

    Args:
        model: A Functional or Sequential model.
        taps: `{exit: Tap}`, the shallowest first.
        heads: `{exit: head}`, models from a tapped value to `{"hidden", "scores"}`.
        threshold: The largest probability, at least 0, from which on an example leaves.
        from_logits: Whether heads and model give logits.

    Attributes:
        names: The exits, the model's own output last, as `"deepest"`.
        threshold: A number that can be assigned.

    Raises:
        ValueError: If the model cannot be cut at an exit, or the threshold is below 0.

    Example:

    >>> import keras_kd, numpy as np
    >>> from keras_kd.models import mlp
    >>> model = mlp((4,), 3, hidden=(8, 8))
    >>> distiller = keras_kd.schemes.SelfDistiller(model, exits=["hidden1"])
    >>> early = distiller.early_exit(threshold=0.9)
    >>> found = early(np.ones((5, 4)))
    >>> found.outputs.shape, early.names
    ((5, 3), ('hidden1', 'deepest'))
    """

    def __init__(
        self,
        model: keras.Model,
        taps: Mapping[str, Tap],
        heads: Mapping[str, keras.Model],
        threshold: float,
        *,
        from_logits: bool,
    ) -> None:
        self.threshold = check_number("threshold", threshold, least=0.0)
        self.names = (*taps, DEEPEST)
        self._from_logits = from_logits
        self._stages = _stages(model, taps, heads)

    @functools.cached_property
    def flops(self) -> dict[str, int] | None:
        """The floating-point operations of an example by the exit it leaves at.

        None where they are not known: see `evaluation.compare`.
        """
        counts = [_flops(stage) for stage in self._stages]
        if None in counts:
            return None
        return dict(zip(self.names, itertools.accumulate(counts), strict=True))

    def __call__(self, data: Any, batch_size: int = 32) -> EarlyAnswers:
        """Answers examples, each as early as the threshold lets it.

        Args:
            data: An array `x` or a dict of arrays, a tuple `(x, y)`, whose labels are not read, or
                a batched data set.
            batch_size: Examples in a batch of arrays.

        Returns:
            The `EarlyAnswers`, in the order of the data.

        Raises:
            ValueError: If the data yield no batch.
        """
        size = check_whole_number("batch_size", batch_size, least=1)
        parts = _numbered(batches(data, size))
        first = next(parts)
        size = len(first[0])
        parts = itertools.chain([first], parts)
        answered: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for number in range(len(self._stages)):
            parts = self._stage(number, parts, size, answered)
        for _ in parts:  # runs the stages, each of which asks the one before for examples
            raise AssertionError("no example goes on behind the last stage")
        places, exits, outputs = (np.concatenate(each) for each in zip(*answered, strict=True))
        order = np.argsort(places)
        exits, costs, flops = exits[order], self.flops, None
        if costs is not None:
            flops = float(np.mean([costs[self.names[place]] for place in exits]))
        return EarlyAnswers(outputs[order], exits, self.names, flops)

    def sure(self, outputs: Any) -> np.ndarray:
        """Returns whether each row of an exit's outputs, `(N, C)`, is sure enough to leave."""
        return largest_probability(outputs, self._from_logits) >= self.threshold

    def _stage(self, number, parts, size, answered) -> Iterator[tuple]:
        """Runs one stage, keeps what leaves in `answered`, and yields what goes on."""
        is_last = number == len(self._stages) - 1
        for places, values in _in_full_batches(parts, size):
            padded = keras.tree.map_structure(lambda x: _filled(x, size), values)
            given = predict_on_batch(self._stages[number], padded)
            values, outputs = (None, given) if is_last else given
            outputs = np.asarray(outputs)[: len(places)]
            leaves = np.full(len(places), True) if is_last else self.sure(outputs)
            answered.append((places[leaves], np.full(leaves.sum(), number), outputs[leaves]))
            if not leaves.all():
                yield places[~leaves], np.asarray(values)[: len(places)][~leaves]


def largest_probability(outputs: Any, from_logits: bool) -> np.ndarray:
    """Returns the largest of each row's probabilities, `(N,)`, in float32."""
    outputs = ops.convert_to_tensor(outputs, dtype="float32")
    probabilities = ops.softmax(outputs) if from_logits else outputs
    return ops.convert_to_numpy(ops.max(probabilities, axis=-1))


def _stages(model, taps, heads):
    """Returns the models between the exits, each with its head, and the one behind the last."""
    if not (isinstance(model, keras.Sequential) or hasattr(model, "operations")):
        raise ValueError(
            "Only Functional and Sequential models can be cut at a layer. Received: model "
            f"'{model.name}' of class {type(model).__name__}"
        )
    value, outputs = ends(model)
    stages = []
    for name, tap in taps.items():
        reached = tapped(model, tap, "model")
        if getattr(reached, "_keras_mask", None) is not None:
            raise ValueError(
                "The model cannot be cut there: the mask of padding leads around the tapped value, "
                f"and what comes behind needs it. Received: {tap}"
            )
        stage = between(value, reached, f"to_{name}", "model", tap)
        inputs = keras.tree.map_structure(
            lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name), ends(stage)[0]
        )
        feature = stage(inputs)
        scores = heads[name](feature)["scores"]
        stages.append(keras.Model(inputs, [feature, scores], name=f"stage_{name}"))
        value = reached
    return [*stages, between(value, outputs, f"to_{DEEPEST}", "model", tap)]


def _flops(stage):
    leaves = keras.tree.flatten(stage.input)
    if any(None in leaf.shape[1:] or leaf.dtype == "string" for leaf in leaves):
        return None
    one = keras.tree.map_structure(lambda x: np.zeros((1, *x.shape[1:]), x.dtype), stage.input)
    return count_flops(stage, one)


def _numbered(found):
    """Yields the examples of batches with their places in the data."""
    start = 0
    for x, _, _ in found:
        count = len(keras.tree.flatten(x)[0])
        yield np.arange(start, start + count), x
        start += count


def _in_full_batches(parts, size):
    """Yields the examples of parts of any size in batches of `size`, the last one smaller."""
    waiting, count = [], 0
    for part in parts:
        waiting.append(part)
        count += len(part[0])
        while count >= size:
            joined = _joined(waiting)
            yield keras.tree.map_structure(lambda x: x[:size], joined)
            waiting = [keras.tree.map_structure(lambda x: x[size:], joined)]
            count -= size
    if count:
        yield _joined(waiting)


def _joined(parts):
    return keras.tree.map_structure(lambda *each: np.concatenate(each), *parts)


def _filled(array, size):
    """Returns an array whose last row is repeated until there are `size`."""
    missing = size - len(array)
    return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)]) if missing else array
