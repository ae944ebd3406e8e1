"""A model some of whose inner values are those of other examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from keras_kd.features.layer_tree import find_layer
from keras_kd.features.own_inputs import own_inputs
from keras_kd.features.preprocessing import preprocessed
from keras_kd.features.recording import Recording, watched
from keras_kd.features.replacing import replaced
from keras_kd.features.tap import Tap
from keras_kd.features.undisturbed import modes_kept, without_graph

_BATCH = 32


class PermutedLayer:
    """What a model answers where one of its layers has the values of other examples.

    The layer's values of all examples are held in memory. Each example keeps its Keras mask: where
    it is real, it has what the other example has there, be it padding.

    Args:
        model: A built model.
        tap: Which value, a layer's output or its first argument.
        x: The inputs of all N examples.
        name: The model's name, for messages.

    Attributes:
        channels: How many entries the axis of the channels has: the last one, or the second of a
            layer with `data_format="channels_first"`.

    Raises:
        ValueError: If the model has no such layer, or it does not run, or several times.
    """

    def __init__(self, model: keras.Model, tap: Tap, x: Any, name: str) -> None:
        if tap.side not in ("output", "input"):
            raise ValueError(
                "What is permuted is the output or the input of a layer. Received: "
                f"{tap} of model {name!r}"
            )
        self.model, self.tap, self.x = model, tap, x
        self._layer = find_layer(model, tap.layer, f"model {name!r}")
        self._values = self._recorded()
        leaves = keras.tree.flatten(self._values)
        is_first = getattr(self._layer, "data_format", None) == "channels_first"
        self._axis = 1 if is_first and leaves[0].ndim > 2 else -1
        self.channels = leaves[0].shape[self._axis] if len(leaves) == 1 else 0

    def answers(self, order: np.ndarray | None, channel: int | None = None) -> np.ndarray:
        """Returns the model's float32 outputs `(N, ...)`.

        Args:
            order: From which example each has its value; None for its own.
            channel: Which channel alone is permuted; None for all of the value.
        """
        if order is None:
            return self._run(lambda rows: None)

        def change(rows):
            def changed(value):
                return keras.tree.map_structure(
                    lambda leaf, all_values: _as_tensor(
                        self._mixed(all_values, rows, order, channel), leaf
                    ),
                    value,
                    self._values,
                )

            return changed

        return self._run(change)

    def _mixed(self, values, rows, order, channel):
        others = values[order[rows]]
        if channel is None:
            return others
        mixed = np.moveaxis(values[rows].copy(), self._axis, -1)
        mixed[..., channel] = np.moveaxis(others, self._axis, -1)[..., channel]
        return np.moveaxis(mixed, -1, self._axis)

    def _run(self, change_of: Callable[[slice], Callable | None]) -> np.ndarray:
        found = []
        with modes_kept(self.model), without_graph():
            for rows, inputs in self._batches():
                change = change_of(rows)
                if change is None:
                    outputs = self.model(inputs, training=False)
                else:
                    with replaced(self._layer, self.tap, change):
                        outputs = self.model(inputs, training=False)
                (leaf,) = keras.tree.flatten(outputs)
                found.append(np.asarray(keras.ops.convert_to_numpy(leaf)).astype("float32"))
        return np.concatenate(found)

    def _recorded(self):
        """Returns the layer's values of all examples, in their structure."""
        parts = []
        taps = {self.tap: self._layer}
        with modes_kept(self.model), without_graph(), watched([self._layer], taps):
            for _, inputs in self._batches():
                with Recording() as recording:
                    self.model(inputs, training=False)
                value = recording.value(self._layer, self.tap)
                parts.append(keras.tree.map_structure(keras.ops.convert_to_numpy, value))
        return keras.tree.map_structure(lambda *leaves: np.concatenate(leaves), *parts)

    def _batches(self) -> Iterator[tuple[slice, Any]]:
        count = len(keras.tree.flatten(self.x)[0])
        for start in range(0, count, _BATCH):
            rows = slice(start, min(start + _BATCH, count))
            part = keras.tree.map_structure(lambda leaf, rows=rows: leaf[rows], self.x)
            yield rows, preprocessed(self.model, own_inputs(part, self.model))


def _as_tensor(array, like):
    return keras.ops.convert_to_tensor(array, dtype=keras.backend.standardize_dtype(like.dtype))
