"""What each term of the equation is of the whole, in the logs."""

from __future__ import annotations

from typing import Any

from keras_kd.callbacks.distiller_callback import DistillerCallback
from keras_kd.distiller.equation import shares_of


class LossShares(DistillerCallback):
    """Logs which share of the training loss each term of the equation is.

    `kd_loss` and the feature losses are logged as they are, before their weights. This adds, at the
    end of each epoch, `<term>_share`: the weighted term divided by the sum of all, from 0 to 1.

    ```
    student_loss_share = alpha * student_loss / loss
    kd_loss_share = (1 - alpha) * kd_loss / loss
    <feature loss>_share = weight * <feature loss> / loss
    ```

    Regularisation is a term of its own. Where weights change within an epoch, the shares are those
    of the weights at its end.

    Raises:
        TypeError: When `fit` of a model that is no Distiller receives it.

    Example:

    >>> import keras_kd
    >>> callback = keras_kd.callbacks.LossShares()
    """

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the shares to the logs, which later callbacks and the history see."""
        if logs and "loss" in logs:
            shares = shares_of(self.model, logs)
            logs.update({f"{name}_share": share for name, share in shares.items()})
