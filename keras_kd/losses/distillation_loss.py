"""The base class of every loss in keras_kd."""

import inspect

import keras
from keras import ops

from keras_kd.losses.checks import check_number
from keras_kd.losses.given_values import GivenValues
from keras_kd.losses.keras_mask import keras_mask
from keras_kd.losses.per_sample_mean import per_sample_mean
from keras_kd.losses.snake_case import snake_case
from keras_kd.losses.to_rank import to_rank

CONTEXT = ("labels", "mask", "temperature")
KINDS = ("teacher_from_logits", "student_from_logits")  # what the Distiller found out


@keras.saving.register_keras_serializable(package="keras_kd")
class DistillationLoss(keras.losses.Loss):
    """A distance between what the teacher gives and what the student gives.

    A subclass writes one formula, `call(teacher_value, student_value)`, that returns one value per
    sample (or per token or pixel). Masks, sample weights, reduction and scaling over replicas are
    done here, once. The formula sees float32 whatever the models compute in, and no gradient flows
    to the teacher.

    A formula asks for more by naming it among its arguments: `labels` (the targets `y`), `mask`
    (True where a token is real, for formulas that sum over tokens themselves) and `temperature`
    (the Distiller's).

    Args:
        weight: What the Distiller multiplies this loss by. Calling the loss alone does not apply
            it. Defaults to 1.
        layers: `{student_layer: teacher_layer}` for a loss that looks inside: layer names, paths
            (`"backbone/stage2"`) or `keras_kd.features.Tap`. Several pairs are summed.
        name: The loss' name in the logs. Defaults to the class name in snake case.
        reduction: As in `keras.losses.Loss`.
        dtype: What the formula computes in. Defaults to float32.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    >>> import keras, numpy as np
    >>> from keras_kd.losses import DistillationLoss
    >>> class L1Loss(DistillationLoss):
    ...     def call(self, teacher_value, student_value):
    ...         return keras.ops.mean(keras.ops.abs(teacher_value - student_value), axis=-1)
    >>> float(L1Loss()(np.array([[1.0, 2.0]]), np.array([[0.0, 0.0]])))
    1.5
    """

    # What the student's value must share with the teacher's before the formula runs: None,
    # "resolution" (height and width) or "shape" (channels too). The Distiller adds a projector.
    match = None

    def __init__(
        self,
        *,
        weight=1.0,
        layers=None,
        name=None,
        reduction="sum_over_batch_size",
        dtype="float32",
    ):
        super().__init__(
            name=name or snake_case(type(self).__name__), reduction=reduction, dtype=dtype
        )
        self.weight = check_number("weight", weight, least=0.0)
        self.layers = _check_layers(layers)
        named = inspect.signature(self.call).parameters
        self.asks = tuple(argument for argument in CONTEXT if argument in named)

    def __call__(self, teacher_value, student_value, sample_weight=None, **context):
        """Compares the two values.

        Args:
            teacher_value: Tensor, or a list of tensors (one a pair of layers).
            student_value: Tensor of a shape that fits, or a list as long.
            sample_weight: Optional tensor, `(B,)` or with further axes as the values have them.
            **context: `labels`, `mask` and `temperature`, for formulas that ask for them; a mask
                that is not given is read off `student_value`, as Keras does.

        Returns:
            The reduced distance: a scalar for the default reduction, summed over pairs.
        """
        unknown = sorted(set(context) - {*CONTEXT, *KINDS})
        if unknown:
            raise TypeError(
                f"{type(self).__name__} can be given {', '.join(CONTEXT)} by name. "
                f"Received: {', '.join(unknown)}"
            )
        if isinstance(student_value, list | tuple):
            return self._sum_over_pairs(teacher_value, student_value, sample_weight, context)
        mask = context.pop("mask", None)
        if mask is None:
            mask = keras_mask(student_value)
        with keras.name_scope(self.name):
            teacher_value, student_value = self.prepare(teacher_value, student_value, context)
            teacher_value = ops.stop_gradient(teacher_value)
            values = self.call(teacher_value, student_value, **self._asked(context, mask))
            if len(values.shape) == 0:
                raise ValueError(
                    f"{type(self).__name__}.call() must return one value per sample; it returned "
                    "a scalar, which sample weights, masks and replicas cannot be applied to. "
                    f"Received: shape={tuple(values.shape)}"
                )
            weights = self._weights(values, mask, sample_weight)
            return GivenValues(reduction=self.reduction, dtype=self.dtype)(values, values, weights)

    def prepare(self, teacher_value, student_value, context):
        """Brings both values to what the formula works on: tensors of the loss' dtype."""
        del context
        return (
            ops.convert_to_tensor(teacher_value, dtype=self.dtype),
            ops.convert_to_tensor(student_value, dtype=self.dtype),
        )

    def call(self, teacher_value, student_value):
        """The formula: one value per sample."""
        raise NotImplementedError

    def get_config(self):
        """Returns the constructor's arguments."""
        layers = self.layers
        if layers is not None:  # pairs, since a key of a JSON object must be a string
            layers = [
                [keras.saving.serialize_keras_object(tap) for tap in pair]
                for pair in layers.items()
            ]
        return {
            **super().get_config(),
            "weight": self.weight,
            "layers": layers,
            "dtype": self.dtype,
        }

    @classmethod
    def from_config(cls, config):
        """Makes the loss that `get_config` described."""
        config = dict(config)
        if isinstance(config.get("layers"), list):
            config["layers"] = {
                keras.saving.deserialize_keras_object(
                    student
                ): keras.saving.deserialize_keras_object(teacher)
                for student, teacher in config["layers"]
            }
        return cls(**config)

    def _sum_over_pairs(self, teacher_values, student_values, sample_weight, context):
        masks = context.pop("mask", None)
        if not isinstance(masks, list | tuple):  # one for all pairs, or none
            masks = [masks] * len(student_values)
        lengths = {
            "teacher values": _length(teacher_values),
            "student values": len(student_values),
            "masks": len(masks),
        }
        if len(set(lengths.values())) > 1 or not student_values:
            raise ValueError(
                f"{self.name} compares pairs: lists of one length were expected. Received: "
                + ", ".join(f"{length} {what}" for what, length in lengths.items())
            )
        return sum(
            self(teacher, student, sample_weight, mask=mask, **context)
            for teacher, student, mask in zip(teacher_values, student_values, masks, strict=True)
        )

    def _asked(self, context, mask):
        context = {**context, "mask": mask}
        if "labels" in self.asks and context.get("labels") is None:
            raise ValueError(f"{type(self).__name__} needs labels. Received: labels=None")
        return {name: context.get(name) for name in self.asks}

    def _weights(self, values, mask, sample_weight):
        rank = len(values.shape)
        weights = None
        if mask is not None and "mask" in self.asks:  # the formula has applied it
            sample_weight = _of_real_positions(sample_weight, mask, values)
        elif mask is not None:
            if len(mask.shape) > rank:
                raise ValueError(
                    f"{type(self).__name__}.call() sums over positions that a mask of rank "
                    f"{len(mask.shape)} tells apart: let it take an argument `mask`. "
                    f"Received: values of rank {rank}"
                )
            weights = ops.cast(mask, values.dtype)
            if self.reduction in ("sum_over_batch_size", "mean"):
                # Keras' convention: the mean over what is not masked.
                count = ops.cast(ops.size(weights), values.dtype)
                weights = weights * ops.divide_no_nan(count, ops.sum(weights))
            weights = to_rank(weights, rank)
        if sample_weight is not None:
            sample_weight = to_rank(ops.convert_to_tensor(sample_weight, values.dtype), rank)
            weights = sample_weight if weights is None else weights * sample_weight
        return None if weights is None else weights * ops.ones_like(values)


def _of_real_positions(sample_weight, mask, values):
    """Averages weights of positions to one a sample, as the formula did with the positions."""
    if sample_weight is None or len(values.shape) > 1:
        return sample_weight
    weights = ops.convert_to_tensor(sample_weight, values.dtype)
    if not 1 < len(mask.shape) <= len(weights.shape):
        return weights
    mask = to_rank(ops.cast(mask, values.dtype), len(weights.shape))
    return per_sample_mean(weights * ops.ones_like(mask), mask)


def _length(values):
    return len(values) if isinstance(values, list | tuple) else "no list of"


def _check_layers(layers):
    if layers is None:
        return None
    if not isinstance(layers, dict) or not layers:
        raise ValueError(
            "`layers` must be a dict {student_layer: teacher_layer} with at least one pair. "
            f"Received: layers={layers!r}"
        )
    return dict(layers)
