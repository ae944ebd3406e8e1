"""What a sequence of trainings leaves."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

Epochs = dict[str, list[dict[str, Any]]]


@dataclasses.dataclass(frozen=True)
class SequenceResult:
    """The models of a sequence of trainings and what their epochs logged.

    Args:
        models: The trained models by the names of their trainings, in order. Where one model trains
            several times, as in stages, it stands under each of them.
        epochs: By the same names a list of each epoch's logs.

    Attributes:
        student: The model that trained last.
        histories: By the same names what Keras' `History.history` of that training is, which
            `keras_kd.plot_history` draws.
        history: All epochs one after another: `"training"` names the training of each, every
            metric has one value an epoch, NaN where it was not logged.

    Example:

    >>> from keras_kd.schemes import SequenceResult
    >>> result = SequenceResult({}, {"first": [{"loss": 2.0}], "second": [{"loss": 1.0}]})
    >>> result.histories
    {'first': {'loss': [2.0]}, 'second': {'loss': [1.0]}}
    >>> result.history
    {'training': ['first', 'second'], 'loss': [2.0, 1.0]}
    """

    models: dict[str, keras.Model]
    epochs: Epochs = dataclasses.field(repr=False)

    @property
    def student(self) -> keras.Model:
        """The model that trained last."""
        return list(self.models.values())[-1]

    @property
    def histories(self) -> dict[str, dict[str, list[Any]]]:
        """What Keras' `History.history` of each training is, by its name."""
        histories: dict[str, dict[str, list[Any]]] = {}
        for name, epochs in self.epochs.items():
            histories[name] = {}
            for logs in epochs:
                for metric, value in logs.items():
                    histories[name].setdefault(metric, []).append(value)
        return histories

    @property
    def history(self) -> dict[str, list[Any]]:
        """All epochs one after another, with the name of the training of each."""
        rows = [(name, logs) for name, epochs in self.epochs.items() for logs in epochs]
        metrics = {metric: None for _, logs in rows for metric in logs}
        absent = float("nan")
        values = {metric: [logs.get(metric, absent) for _, logs in rows] for metric in metrics}
        return {"training": [name for name, _ in rows], **values}
