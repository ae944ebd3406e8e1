"""Checkpoints of the student."""

from __future__ import annotations

import keras

from keras_kd.callbacks.distiller_callback import DistillerCallback


class StudentCheckpoint(keras.callbacks.ModelCheckpoint, DistillerCallback):
    """`keras.callbacks.ModelCheckpoint`, saving the student alone.

    Takes its arguments (`filepath`, `monitor`, `save_best_only`, `save_weights_only`, ...) and
    monitors the Distiller's logs. The files hold an ordinary model without a teacher.

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
        return distiller.student if self._saving else distiller

    def _save_model(self, *args, **kwargs):
        self._saving = True
        try:
            super()._save_model(*args, **kwargs)
        finally:
            self._saving = False
