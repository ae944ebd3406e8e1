"""A feature loss for some epochs."""

from __future__ import annotations

from typing import Any

import keras

from keras_kd.callbacks.distiller_callback import DistillerCallback
from keras_kd.distiller.argument_checks import check_feature_losses
from keras_kd.distiller.awaited_shapes import without_shapes
from keras_kd.losses import DistillationLoss


class FeatureMatching(DistillerCallback):
    """Attaches a feature loss from one epoch to another.

    The loss' projectors and weight join the Distiller when `fit` begins, so that a checkpoint holds
    them and the step is traced once; outside its epochs the loss has weight 0. Passed to a resumed
    `fit`, it takes up the loss that the checkpoint brought.

    FitNets' two stages in one `fit` are feature matching alone, then distillation:

    ```python
    distiller = keras_kd.Distiller(student, teacher, alpha=0.0)
    distiller.fit(data, epochs=20, callbacks=[
        FeatureMatching(FitNetLoss(layers={"mid": "block4"}), stop_epoch=5),
        LossWeightScheduler("kd_loss", lambda epoch, weight: 0.0 if epoch < 5 else 1.0),
        AlphaScheduler(lambda epoch, alpha: 0.0 if epoch < 5 else 0.1),
    ])
    ```

    Args:
        loss: A `DistillationLoss` with `layers`.
        start_epoch: The first epoch, from 0, in which the loss counts.
        stop_epoch: The first epoch in which it does not count any more; None for never.

    Raises:
        ValueError, TypeError: If the loss has no layers, the epochs are in no order, or the
            Distiller has another loss of that name.

    Example:

    >>> import keras_kd
    >>> callback = keras_kd.callbacks.FeatureMatching(
    ...     keras_kd.losses.FitNetLoss(layers={"mid": "block4"}), stop_epoch=5)
    """

    def __init__(
        self, loss: DistillationLoss, *, start_epoch: int = 0, stop_epoch: int | None = None
    ) -> None:
        super().__init__()
        (self.loss,) = check_feature_losses([loss])
        self.start_epoch = _check_epoch("start_epoch", start_epoch)
        self.stop_epoch = None if stop_epoch is None else _check_epoch("stop_epoch", stop_epoch)
        if self.stop_epoch is not None and self.stop_epoch <= self.start_epoch:
            raise ValueError(
                "`stop_epoch` must come after `start_epoch`. "
                f"Received: start_epoch={start_epoch}, stop_epoch={stop_epoch}"
            )

    def set_model(self, model: keras.Model) -> None:
        """Attaches the loss at weight 0, unless a resumed Distiller has it."""
        super().set_model(model)
        for term in model.feature_terms:
            if term.name == self.loss.name and _config(term.loss) == _config(self.loss):
                return
        model.attach(self.loss, active=False)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Gives the loss its weight, or 0."""
        stop = epoch + 1 if self.stop_epoch is None else self.stop_epoch
        active = self.start_epoch <= epoch < stop
        weight = self.loss.weight if active else 0.0
        self.model.term_weights[self.loss.name].assign(weight)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Logs the weight that the epoch had."""
        if logs is not None:
            weight = self.model.term_weights[self.loss.name]
            logs[f"{self.loss.name}_weight"] = float(keras.ops.convert_to_numpy(weight))


def _config(loss):
    return keras.saving.serialize_keras_object(without_shapes(loss))


def _check_epoch(name, epoch):
    if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 0:
        raise ValueError(f"`{name}` must be an epoch, from 0. Received: {name}={epoch!r}")
    return epoch
