"""Collects a teacher's way to where it ends."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_kd.aside import save_safely
from keras_kd.checks import check_whole_number, local_path
from keras_kd.distiller import Distiller

_FILE = re.compile(r"epoch_(\d+)\.keras")


class TeacherRoute(keras.callbacks.Callback):
    """Saves a teacher along its training, for `schemes.route` to teach by.

    The files are `epoch_0005.keras`, after five epochs, and so on. Passed to a Distiller's `fit`,
    it saves the student, which may teach others later.

    Args:
        folder: Where the files are, made if it is not there.
        epochs: After which epochs to save, counted from 1.
        every: Or after every so many; then also when training ends.

    Raises:
        TypeError, ValueError: If it is not one of `epochs` and `every`, or, when training begins,
            if the folder has files of epochs that are still to come.

    Example:

    >>> import keras_kd
    >>> callback = keras_kd.callbacks.TeacherRoute("route", epochs=[10, 30, 60])
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        *,
        epochs: Sequence[int] | None = None,
        every: int | None = None,
    ) -> None:
        super().__init__()
        self.folder = local_path("folder", folder)
        if (epochs is None) == (every is None):
            raise ValueError(
                "Say either after which `epochs` to save or after `every` how many. "
                f"Received: epochs={epochs!r}, every={every!r}"
            )
        self.every = None if every is None else check_whole_number("every", every, least=1)
        if epochs is not None and (not isinstance(epochs, list | tuple | range) or not epochs):
            raise TypeError(
                "`epochs` must be a list of at least one epoch, counted from 1. "
                f"Received: epochs={epochs!r}"
            )
        self.epochs = {check_whole_number("epochs", each, least=1) for each in epochs or ()}
        self._saved = self._done = 0  # epochs

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Starts afresh."""
        self._saved = self._done = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Refuses a folder with the files of another training."""
        # The file of this very epoch may be there, of a process that was killed at its end.
        later = [file.name for number, file in _files(self.folder) if number > epoch + 1]
        if not self._done and later:
            raise ValueError(
                "The folder holds a teacher of later epochs, which this training would mix with "
                f"its own: remove them or take another folder. Received: folder='{self.folder}' "
                f"with {later}"
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves after the epochs that were asked for."""
        self._done = epoch + 1
        if self._done in self.epochs or (self.every and self._done % self.every == 0):
            self._save()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Saves the end of the way."""
        if self.every and self._saved != self._done:
            self._save()

    def _save(self):
        model = self.model
        model = model.student if isinstance(model, Distiller) else model
        self.folder.mkdir(parents=True, exist_ok=True)
        save_safely(model.save, self.folder / f"epoch_{self._done:04d}.keras")
        self._saved = self._done


def route_files(folder: Path) -> list[Path]:
    """Returns the files of a folder that a `TeacherRoute` wrote, in the order of their epochs."""
    return [file for _, file in _files(folder)]


def _files(folder):
    found = [(_FILE.fullmatch(file.name), file) for file in Path(folder).glob("epoch_*.keras")]
    return sorted((int(match[1]), file) for match, file in found if match)
