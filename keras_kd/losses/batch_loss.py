"""The base class of losses that compare the samples of a batch with each other."""

from __future__ import annotations

import warnings
from typing import Any

import keras

from keras_kd.checks import check_flag
from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.losses.formula.all_replicas import AllReplicas

_OF_SAMPLES = ("index", "labels", "mask")  # what a formula may ask for that has one row a sample


@keras.saving.register_keras_serializable(package="keras_kd")
class BatchLoss(DistillationLoss):
    """A loss whose formula compares each sample of a batch with the others.

    Under a `tf.distribute` strategy each replica has a part of the batch, and compares within that:
    16 samples on 4 replicas are 4 times 4 with each other, which is another loss than that of one
    device. `gather=True` brings what teacher and student gave on all replicas to each of them, and
    takes the gradient back to where a value came from: then the training is that of one device.
    What travels is one row of both values a sample; the formula runs on all samples everywhere.
    On JAX, under `keras.distribution`, a formula sees the whole batch in any case.

    Args:
        gather: Whether the samples of all replicas are compared. None (the default) is False, with
            a warning where there are several.
        **kwargs: As in `DistillationLoss`.

    Raises:
        ValueError: If `gather` is neither None nor a bool.

    Example:

    >>> import keras, numpy as np
    >>> from keras_kd.losses import BatchLoss
    >>> class GramLoss(BatchLoss):
    ...     def call(self, teacher_value, student_value):
    ...         t, s = (v @ keras.ops.transpose(v) for v in (teacher_value, student_value))
    ...         return keras.ops.mean(keras.ops.square(t - s), axis=1)
    >>> float(GramLoss(gather=True)(np.eye(2), np.zeros((2, 2))))
    0.5
    """

    least_batch = 2

    def __init__(self, *args: Any, gather: bool | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.gather = check_flag("gather", gather, or_none=True)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "gather": self.gather}

    def _values(self, teacher_value, student_value, asked):
        replicas = AllReplicas()
        if replicas.are_several and self.gather is None:
            warnings.warn(
                f"{self.name} compares the samples of a batch with each other, and each replica "
                "those that it has alone: another training than that of one device. Give "
                "gather=True to compare the samples of all, or gather=False to keep it so.",
                stacklevel=2,
            )
        if not (replicas.are_several and self.gather):
            return super()._values(teacher_value, student_value, asked)
        of_samples = {name: asked[name] for name in _OF_SAMPLES if asked.get(name) is not None}
        both = (teacher_value, student_value)
        both, of_samples = keras.tree.map_structure(replicas.gathered, (both, of_samples))
        return replicas.own(super()._values(*both, {**asked, **of_samples}))
