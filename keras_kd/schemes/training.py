"""One training after another, run or continued."""

from __future__ import annotations

import contextlib
import dataclasses
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from keras_kd.schemes.fit_arguments import callbacks_of
from keras_kd.schemes.sequence_bar import SequenceBar
from keras_kd.schemes.sequence_result import Epochs
from keras_kd.schemes.training_folder import TrainingFolder


@dataclasses.dataclass(frozen=True)
class Training:
    """One training of a sequence.

    Attributes:
        name: Its name in results and files.
        model: The model that it trains in place.
        make: Returns the compiled model whose `fit` trains it, made anew at each call; given
            whether its teacher runs, or what it says travels with the data.
        fit: What `fit` takes, `epochs` among it, without callbacks.
        said: What it does, for the line that is printed.
        settings: What a folder knows it by, in plain values.
        data: None, or a function that asks the teacher, trained by then, and returns what `fit`
            takes in place of its data.
    """

    name: str
    model: keras.Model
    make: Callable[[bool], keras.Model]
    fit: dict[str, Any]
    said: str
    settings: dict[str, Any]
    data: Callable[[], dict[str, Any]] | None = None


def run(
    scheme: str,
    trainings: Sequence[Training],
    *,
    folder: Any = None,
    callbacks: Any = None,
    verbose: Any = "auto",
) -> Epochs:
    """Runs trainings one after another; with a folder goes on where they were stopped.

    All are made once before the first step, so that what is wrong with the last of them is not
    found after hours. What they draw at random when they are made, such as a projector's initial
    values, hangs on one number, which a folder notes: not on what has been made before.

    Returns:
        Each epoch's logs, by the names of the trainings.
    """
    kept = None if folder is None else TrainingFolder(folder, scheme, trainings)
    seed = random.randrange(2**31)
    for training in trainings:
        callbacks_of(callbacks, training.name, len(trainings))
        for runs in {True, training.data is None}:
            with _drawing(seed):
                training.make(runs)
    if kept is not None:
        seed = kept.begin(seed)
    epochs = {}
    bar = SequenceBar(trainings) if verbose in ("auto", 1) else None
    for number, training in enumerate(trainings):
        found = None if kept is None else kept.load(number)
        if bar is not None:
            bar.turn_to(number, found is not None)
        elif verbose:
            done = training.said if found is None else "trained already"
            print(f"{number + 1} of {len(trainings)}: {training.name}, {done}", flush=True)
        if found is None:
            given = callbacks_of(callbacks, training.name, len(trainings))
            first = training.fit.get("initial_epoch", 0)
            before = () if kept is None else kept.unfinished(number)
            recorder = EpochRecorder(first, *before)
            backup = [] if kept is None else [kept.backup(number)]
            # Behind the user's callbacks, which add to the logs, and an epoch is on the disk before
            # the weights that it ended with.
            given = [*given, *([] if bar is None else [bar]), recorder, *backup]
            fit = {**training.fit, "verbose": verbose if bar is None else 0}
            if training.data is not None:
                fit.update(training.data())
            with _drawing(seed + number):
                model = training.make(training.data is None)
                model.wire(fit["x"])
            model.fit(**fit, callbacks=given)
            found = recorder.epochs
            if kept is not None:
                kept.save(number, found)
        epochs[training.name] = found
    return epochs


@contextlib.contextmanager
def _drawing(seed: int) -> Iterator[None]:
    """Has Keras draw its seeds from one number, and Python's random numbers go on behind it."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


class EpochRecorder(keras.callbacks.Callback):
    """Keeps each epoch's logs, of a training that goes on also those from before.

    Args:
        first: The number of the training's first epoch.
        epochs: The logs of those that it had before it was stopped.
        write: Called with all logs after each epoch.
    """

    def __init__(self, first=0, epochs=(), write=None):
        super().__init__()
        self._first, self.epochs, self._write = first, list(epochs), write

    def on_epoch_end(self, epoch, logs=None):
        """Takes the epoch's logs; those of an epoch that runs again are replaced."""
        logs = {name: np.asarray(value).tolist() for name, value in (logs or {}).items()}
        self.epochs = [*self.epochs[: epoch - self._first], logs]
        if self._write is not None:
            self._write(self.epochs)
