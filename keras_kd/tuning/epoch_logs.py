"""What a training has logged, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_kd.distiller import Distiller
from keras_kd.schemes.joint_model import JointModel


class EpochLogs(keras.callbacks.Callback):
    """Keeps the logs of each epoch, and stops at once where a wanted metric is not among them.

    Args:
        wanted: Names of metrics.

    Attributes:
        by_epoch: The logs by the epoch's number, from 0.

    Raises:
        ValueError: Before the first step, if a wanted loss is one that the settings themselves make
            large or small (after the first epoch where the data alone tell that it is there); after
            the first epoch, of validation where it is a validation metric, if the logs lack a
            wanted metric; in the end, if no epoch was validated.
    """

    def __init__(self, wanted: Sequence[str]) -> None:
        super().__init__()
        self.wanted = list(wanted)
        self.by_epoch: dict[int, dict[str, Any]] = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Looks at what the validation losses will be."""
        self._check_compare_settings()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keeps them."""
        self._check_compare_settings()  # some feature losses are known with the first batch
        logs = dict(logs or {})
        validated = any(name.startswith("val_") for name in logs)
        due = [name for name in self.wanted if validated or not name.startswith("val_")]
        missing = [name for name in due if name not in logs]
        if missing:
            raise ValueError(
                "The logs hold no such metric: give it to `compile` in `make_distiller`. "
                f"Received: objectives={self.wanted}, not logged: {missing}. "
                f"Available: {sorted(logs)}"
            )
        self.by_epoch[epoch] = logs

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Looks whether there is something to choose by."""
        for name in self.wanted:
            self.value(name, max(self.by_epoch))

    def value(self, name: str, last: int) -> float:
        """Returns a metric of an epoch, or of the last before it in which it was measured.

        Raises:
            ValueError: If there is none.
        """
        epochs = [epoch for epoch, logs in self.by_epoch.items() if epoch <= last and name in logs]
        if not epochs:
            raise ValueError(
                "No epoch was validated, so there is nothing to choose by: train for as many "
                f"epochs as `validation_freq` asks for. Received: objective={name!r} after "
                f"{len(self.by_epoch)} epochs"
            )
        return float(self.by_epoch[max(epochs)][name])

    def _check_compare_settings(self):
        holding = {f"val_{name}" for name in _holding_settings(self.model)}
        refused = [name for name in self.wanted if name in holding]
        if refused:
            raise ValueError(
                "These validation losses hold alpha, the temperature or the weights that are "
                f"searched for, so that the best trial would be the one that asks for least: take "
                f"{_instead(self.model)} or a metric. Received: objectives={self.wanted}, "
                f"not to be compared: {refused}"
            )


def _holding_settings(model):
    """Returns the names of what a model logs of validation that settings make large or small."""
    if isinstance(model, JointModel):
        labels = {f"{name}_loss" for name in model.output_names}
        return {each.name for each in model.metrics if each.name.endswith("loss")} - labels
    if isinstance(model, Distiller) and model.validate_with_teacher:
        return {"loss", "kd_loss", *(term.name for term in model.feature_terms)}
    return set()


def _instead(model):
    if isinstance(model, JointModel):
        return " or ".join(repr(f"val_{name}_loss") for name in model.output_names)
    return "'val_student_loss'"
