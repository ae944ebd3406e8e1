"""Checkpoints of the student."""

from __future__ import annotations

import keras

from keras_kd.aside import save_safely
from keras_kd.callbacks.distiller_callback import DistillerCallback


class StudentCheckpoint(keras.callbacks.ModelCheckpoint, DistillerCallback):
    """`keras.callbacks.ModelCheckpoint`, saving the student alone.

    Takes its arguments (`filepath`, `monitor`, `save_best_only`, `save_weights_only`, ...) and
    monitors the Distiller's logs. The files hold an ordinary model without a teacher. The one
    before stays until the next is whole: a process that is killed loses none.

    Example:

    >>> import keras_kd
    >>> callback = keras_kd.callbacks.StudentCheckpoint(
    ...     "best.keras", monitor="val_accuracy", save_best_only=True)
    """

    _saving = False

    @property
    def model(self) -> keras.Model:
        """The Distiller; while a file is written, its student."""
        distiller = super().model
        return _Saved(distiller.student) if self._saving else distiller

    def _save_model(self, *args, **kwargs):
        self._saving = True
        try:
            super()._save_model(*args, **kwargs)
        finally:
            self._saving = False


class _Saved:
    """A model as it is saved: aside, unless a remote store keeps files whole on its own."""

    def __init__(self, model):
        self._model = model

    def save(self, filepath, overwrite):
        save_safely(self._model.save, filepath, overwrite)

    def save_weights(self, filepath, overwrite):
        save_safely(self._model.save_weights, filepath, overwrite)
