"""The equation's weights in the logs."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_kd.callbacks.distiller_callback import DistillerCallback


class EquationLogger(DistillerCallback):
    """Logs alpha, the temperature and the weight of every loss, whether one changes them or not.

    At the end of each epoch the logs get `alpha`, `temperature` and `<loss>_weight`, the names
    under which schedules log what they set; `kd_loss_weight` is that of the loss on the outputs
    (`<output>_kd_loss_weight` of several). `keras.callbacks.TensorBoard`, `CSVLogger` and the like
    write what is in the logs, so they come after this one in the list of callbacks.
    `callbacks.Strengthen`, which changes alpha at the end of an epoch, comes after it too.

    Raises:
        TypeError: When `fit` of a model that is no Distiller receives it.

    Example:

    >>> import keras, keras_kd
    >>> callbacks = [keras_kd.callbacks.EquationLogger(), keras.callbacks.CSVLogger("log.csv")]
    """

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the numbers to the logs, which later callbacks and the history see."""
        if logs is None:
            return
        model = self.model
        weights = {f"{name}_weight": weight for name, weight in model.term_weights.items()}
        found = {"alpha": model.alpha, "temperature": model.temperature, **weights}
        logs.update({name: float(ops.convert_to_numpy(value)) for name, value in found.items()})
