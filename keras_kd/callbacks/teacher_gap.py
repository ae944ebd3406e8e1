"""How far the student is from its teacher, in the logs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
from keras import ops

from keras_kd.callbacks.both_answers import BothAnswers
from keras_kd.callbacks.distiller_callback import DistillerCallback
from keras_kd.data.batches import batches
from keras_kd.features.string_inputs import as_arrays
from keras_kd.losses.formula.divergence import softened_divergence
from keras_kd.teachers.held_out_outputs import position_weights


class TeacherGap(DistillerCallback):
    """Logs after each epoch how far the student is from its teacher on data of yours.

    ```
    teacher_agreement   share of examples on which both choose the same class
    teacher_kl          mean of KL(softmax(z_t) || softmax(z_s)), at temperature 1, in nats
    teacher_kl_spread   its standard deviation over the examples
    ```

    Of several outputs each that is distilled by a loss on scores of classes has its own, such as
    `"a_teacher_kl"` for an output `a`. Tokens or pixels are examples, too; what either model masks
    counts for nothing, nor does a label that the loss has as its `ignore_class`, and sample weights
    weigh. Nothing is trained by it, and no metric is touched: both models run as `predict` runs
    them, once an epoch, over all of the data.

    Callbacks are called in the order of their list. Those that read these names, such as
    `keras.callbacks.EarlyStopping("teacher_kl", mode="min")`, `TensorBoard` and `CSVLogger`, come
    after this one.

    Args:
        data: As `compare` takes them: a batched `tf.data.Dataset`, a `PyDataset`, or arrays `x`,
            `(x, y)` or `(x, y, sample_weight)`. Labels tell no more than what is ignored. A
            Distiller without a teacher takes what a `TeacherCache` labelled,
            `{"inputs": x, "teacher_outputs": outputs}`, top-k labels too.

    Raises:
        TypeError: When `fit` of a model that is no Distiller receives it.
        ValueError: Before the first step, if the first batch cannot be compared: no output has
            scores of classes, or the data carry no answers where there is no teacher. After an
            epoch, if all weights are 0.

    Example:

    >>> import keras_kd, numpy as np
    >>> validation = np.zeros((8, 4)), np.zeros(8)
    >>> callback = keras_kd.callbacks.TeacherGap(validation)

    Reference: Stanton et al., "Does Knowledge Distillation Really Work?", NeurIPS 2021 (agreement
    and divergence as measures of fidelity).
    """

    def __init__(self, data: Any) -> None:
        super().__init__()
        self.data = data
        self._begun: Iterable[tuple] | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Compares the first batch, so that what cannot be compared is known now."""
        self._answers = BothAnswers(self.model)
        rest = self._batches()
        first = next(rest)
        self._sums([first])
        # Read on after the first epoch: data that are left in the midst may lose their cache.
        self._begun = itertools.chain([first], rest)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the figures to the logs, which later callbacks and the history see."""
        self._answers.distiller = self.model  # whose values JAX brings up to date here
        if logs is not None:
            walked, self._begun = self._begun or self._batches(), None
            for name, sums in self._sums(walked).items():
                logs.update(_figures(name, *sums))

    def _batches(self):
        return batches(as_arrays(self.data))

    def _sums(self, walked: Iterable[tuple]) -> dict[str, np.ndarray]:
        """Returns for each term the sums of weights, agreement, KL and its square."""
        sums = {name: np.zeros(4) for name in self._answers.terms}
        for batch in walked:
            for name, answer in self._answers(*batch).items():
                sums[name] += _weighted_sums(answer)
        return sums


def _weighted_sums(answer):
    chosen = (ops.argmax(each, axis=-1) for each in (answer.teacher, answer.student))
    agrees = ops.convert_to_numpy(ops.equal(*chosen)).astype("float64")
    kl = softened_divergence(answer.teacher, answer.student, 1.0)
    kl = np.asarray(ops.convert_to_numpy(kl), "float64")
    weights = position_weights(kl.shape, answer.mask, answer.sample_weight).astype("float64")
    kl = np.where(weights > 0.0, kl, 0.0)  # what does not count may be NaN
    return np.array([(weights * each).sum() for each in (np.ones_like(kl), agrees, kl, kl**2)])


def _figures(name, weight, agreement, kl, kl_squared):
    if not weight > 0.0:
        raise ValueError(
            "Data with a weight above 0 were expected. "
            f"Received: data whose weights sum to {weight:g} at {name}"
        )
    mean = kl / weight
    spread = np.sqrt(max(kl_squared / weight - mean**2, 0.0))
    figures = {"agreement": agreement / weight, "kl": mean, "kl_spread": spread}
    return {
        name.replace("kd_loss", f"teacher_{figure}"): float(value)
        for figure, value in figures.items()
    }
