"""One bar for a whole sequence of trainings."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from typing import Any

import keras

_CELLS = 20
_PAUSE = 0.1  # seconds between two drawings within an epoch


class SequenceBar(keras.callbacks.Callback):
    """Shows which model trains, how far all trainings together are, and the time that is left.

    A line for each training, the last one of which moves. Where lines cannot be written anew, as in
    a file, each epoch has one.

    Args:
        trainings: The `Training`s of the sequence.
    """

    def __init__(self, trainings: Sequence[Any]) -> None:
        super().__init__()
        self._trainings = trainings
        self._firsts = [each.fit.get("initial_epoch", 0) for each in trainings]
        ends = [each.fit["epochs"] for each in trainings]
        self._lengths = [end - first for end, first in zip(ends, self._firsts, strict=True)]
        self._start, self._trained = time.monotonic(), 0.0  # epochs, of this process
        self._number, self._epoch, self._logs, self._drawn = 0, 0, "", 0.0
        in_notebook = "ipykernel" in sys.modules
        on_terminal = sys.stdout.isatty() or "PYCHARM_HOSTED" in os.environ
        self._moves = in_notebook or on_terminal
        self._columns = 160 if in_notebook else shutil.get_terminal_size().columns - 1

    def turn_to(self, number: int, is_finished: bool) -> None:
        """Goes on to a training; one that is loaded has a line at once."""
        self._number, self._epoch, self._logs = number, 0, ""
        if is_finished:
            print(f"{self._title()}, trained already", flush=True)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes the epoch's number."""
        self._epoch = epoch - self._firsts[self._number]

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Moves the bar, not more often than one can see."""
        steps, now = self.params.get("steps"), time.monotonic()
        if self._moves and steps and now - self._drawn >= _PAUSE:
            self._drawn = now
            self._draw((batch + 1) / steps)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Shows the epoch's logs."""
        shown = {name: value for name, value in (logs or {}).items() if _is_number(value)}
        self._logs = "".join(f" - {name}: {float(value):.4g}" for name, value in shown.items())
        self._trained += 1.0
        self._draw(1.0)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Leaves the training's last line as it is."""
        if self._moves:
            print(flush=True)

    def _draw(self, of_epoch):
        """Writes the line, at a share of the epoch that runs."""
        before = sum(self._lengths[: self._number])
        done, total = before + self._epoch + of_epoch, sum(self._lengths)
        filled = int(_CELLS * done / total)
        bar = "\u2501" * filled + "\u2500" * (_CELLS - filled)
        seconds = time.monotonic() - self._start
        trained = self._trained + (of_epoch if of_epoch < 1.0 else 0.0)
        left = seconds / trained * (total - done)
        line = (
            f"{self._title()}, {self._trainings[self._number].said} {bar} epoch "
            f"{self._epoch + 1}/{self._lengths[self._number]}, {_clock(left)} left{self._logs}"
        )
        if self._moves:
            line = line[: self._columns]
            print("\r" + line.ljust(self._columns), end="", flush=True)
        else:
            print(line, flush=True)

    def _title(self):
        name = self._trainings[self._number].name
        return f"{self._number + 1} of {len(self._trainings)}: {name}"


def _clock(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _is_number(value):
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
