"""The base class of every loss in keras_kd."""

from __future__ import annotations

import inspect
import re
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from keras_kd.checks import check_number
from keras_kd.losses.argument_checks import (
    check_given,
    check_layers,
    check_mean_over,
    check_output,
)
from keras_kd.losses.formula.given_values import GivenValues
from keras_kd.losses.formula.held_settings import HeldSettings
from keras_kd.losses.formula.keras_mask import both_real, keras_mask
from keras_kd.losses.formula.per_sample_mean import (
    check_mask,
    per_sample_mean,
    real_positions_of,
    share_of_each,
)
from keras_kd.losses.formula.to_rank import to_rank
from keras_kd.losses.formula.top_k import bare_probabilities, refuse_top_k
from keras_kd.losses.formula.without_ignored import check_ignore_class, without_ignored
from keras_kd.typing import Tensor

CONTEXT = ("index", "labels", "mask", "part", "stages", "temperature", "training")
_NEEDED = {
    "labels": "labels",
    "index": 'each sample\'s number in the data set: x={"inputs": x, "index": index}, '
    "with integers of shape (B,)",
}
KINDS = ("teacher_from_logits", "student_from_logits")  # what the Distiller found out


@keras.saving.register_keras_serializable(package="keras_kd")
class DistillationLoss(HeldSettings):
    """A distance between what the teacher gives and what the student gives.

    A subclass writes one formula, `call(teacher_value, student_value)`, that returns one value per
    sample (or per token or pixel). Masks, sample weights, reduction and scaling over replicas are
    done here, once. The formula sees float32 whatever the models compute in, and no gradient flows
    to the teacher.

    A formula asks for more by naming it among its arguments:

    - `labels`: the targets `y`;
    - `mask`: True where a token is real, for formulas that sum over tokens themselves;
    - `temperature`: the Distiller's;
    - `index`: each sample's number in the data set, `(B,)`, which travels in
      `x={"inputs": x, "index": i}`;
    - `training`: whether this is a training step;
    - `part`: the layer that `make_part` made, for formulas with weights of their own. The Distiller
      trains, saves and resumes it; the student never holds it. The loss alone makes one at its
      first call, and keeps it;
    - `stages`: `{name: weight}` for the names in `stages`, 1 unless a
      `callbacks.LossWeightScheduler("<loss>/<stage>", ...)` changes it.

    Args:
        weight: What the Distiller multiplies this loss by. Calling the loss alone does not apply
            it. Defaults to 1.
        layers: `{student_layer: teacher_layer}` for a loss that looks inside: layer names, paths
            (`"backbone/stage2"`) or `keras_kd.features.Tap`. Several pairs are summed.
        name: The loss' name in the logs. Defaults to the class name in snake case.
        reduction: As in `keras.losses.Loss`.
        dtype: What the formula computes in. Defaults to float32.
        ignore_class: A label, such as 255 or -1, whose positions count for nothing, as in
            `keras.losses.SparseCategoricalCrossentropy`: pixels that have no class, for one. The
            mean is taken over the others. None, the default, and data without labels ignore
            nothing.
        teacher_output: Name or position of the teacher's output that a loss on outputs listens to,
            where the teacher has several and the student others. None, the default, is the output
            at the student's place, or the only one.
        mean_over: Where padding is masked, `"tokens"` for one mean over all real positions, or
            `"samples"` for each sample's own mean and then that of the samples. None, the default,
            is `"tokens"` for losses that give a value for each position, as those on outputs do,
            and `"samples"` for those that give one for each sample, as those on features do.

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
    match: str | None = None
    # What a plain name in `layers` reads of that layer, a side of `features.Tap`; or
    # "input_gradient" for a formula on the gradients of the models' scores, without `layers`.
    side: str = "output"
    # Whether the formula takes all pairs of layers at once, as lists, and makes one part for them.
    joint = False
    # Names of terms inside the formula whose weights a callback may change.
    stages: tuple[str, ...] = ()
    # The least number of samples that the formula can compare; a smaller batch has distance 0.
    least_batch = 1

    def __init__(
        self,
        *,
        weight: float = 1.0,
        layers: dict[Any, Any] | None = None,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: str = "float32",
        ignore_class: int | None = None,
        teacher_output: str | int | None = None,
        mean_over: str | None = None,
    ) -> None:
        super().__init__(
            name=name or snake_case(type(self).__name__), reduction=reduction, dtype=dtype
        )
        self.weight = check_number("weight", weight, least=0.0)
        self.layers = check_layers(layers)
        self.ignore_class = check_ignore_class(self, ignore_class)
        self.teacher_output = check_output(teacher_output, self.layers)
        self.mean_over = check_mean_over(mean_over)
        named = inspect.signature(self.call).parameters
        self.asks = tuple(argument for argument in CONTEXT if argument in named)
        self._alone = _PartsAlone(self)

    def __call__(
        self,
        teacher_value: Any,
        student_value: Any,
        sample_weight: Tensor | None = None,
        **context: Any,
    ) -> Tensor:
        """Compares the two values.

        Args:
            teacher_value: Tensor, or a list of tensors (one a pair of layers).
            student_value: Tensor of a shape that fits, or a list as long.
            sample_weight: Optional tensor, `(B,)` or with further axes as the values have them.
            **context: What the formula asks for, by name; a mask that is not given is read off
                both values, as Keras does: what either masks counts for nothing.

        Returns:
            The reduced distance: a scalar for the default reduction, summed over pairs.
        """
        unknown = sorted(set(context) - {*CONTEXT, *KINDS})
        if unknown:
            raise TypeError(
                f"{type(self).__name__} can be given {', '.join(CONTEXT)} by name. "
                f"Received: {', '.join(unknown)}"
            )
        check_given(self, teacher_value, student_value)
        if self.joint:
            self._check_pairs(teacher_value, student_value, context)
        elif isinstance(student_value, list | tuple):
            return self._sum_over_pairs(teacher_value, student_value, sample_weight, context)
        return self._compare(teacher_value, student_value, sample_weight, context)

    def _compare(self, teacher_value, student_value, sample_weight, context, number=0):
        context = dict(context)
        mask = context.pop("mask", None)
        if mask is None:
            mask = both_real(_masks(student_value), _masks(teacher_value))
        if self.ignore_class is not None:
            context["labels"], mask = without_ignored(
                self, context.get("labels"), mask, student_value
            )
        with keras.name_scope(self.name):
            teacher_value, student_value = self.prepare(teacher_value, student_value, context)
            teacher_value = keras.tree.map_structure(ops.stop_gradient, teacher_value)
            if "part" in self.asks and context.get("part") is None:
                context["part"] = self._alone.part(number, teacher_value, student_value)
            values = self._values(teacher_value, student_value, self._asked(context, mask))
            mask = None if self.joint else mask  # the formula has seen to them
            weights = self._weights(values, mask, sample_weight)
            if weights is not None:  # what has no weight may be NaN: 0 * NaN is not 0
                values = ops.where(weights == 0.0, ops.zeros_like(values), values)
            return GivenValues(reduction=self.reduction, dtype=self.dtype)(values, values, weights)

    def prepare(
        self, teacher_value: Any, student_value: Any, context: dict[str, Any]
    ) -> tuple[Any, Any]:
        """Brings both values to what the formula works on: tensors of the loss' dtype."""
        del context
        refuse_top_k(self.name, "student", student_value)
        refuse_top_k(self.name, "teacher", teacher_value)
        teacher_value, _ = bare_probabilities(teacher_value)
        return tuple(
            keras.tree.map_structure(lambda x: ops.convert_to_tensor(x, dtype=self.dtype), value)
            for value in (teacher_value, student_value)
        )

    def make_part(
        self, teacher_shape: Any, student_shape: Any, teacher_layer: Any = None
    ) -> keras.layers.Layer | None:
        """Makes the layer that holds the formula's own weights, built and of the loss' dtype.

        Args:
            teacher_shape: Shape of the teacher's value, batch first; a list of them for a joint
                formula, a dict for a value that is one.
            student_shape: Likewise the student's, after its projector.
            teacher_layer: The teacher's layer (or a list), where the loss is used in a Distiller;
                the `features.Tap` itself where the teacher's values travel with the data.

        Returns:
            A `keras.layers.Layer`, or None for a formula without weights.
        """
        del teacher_shape, student_shape, teacher_layer
        return None

    def call(self, teacher_value: Any, student_value: Any, *args: Any, **kwargs: Any) -> Tensor:
        """The formula: one value per sample. A formula names what it asks for beside the two."""
        raise NotImplementedError

    def check_arrays(self, labels: Any, index: Any, classes: int | None) -> None:
        """Raises if arrays that `fit` was given hold what the formula has no place for.

        Args:
            labels, index: NumPy arrays, or None.
            classes: The last axis of the outputs that labels belong to.
        """

    def with_layers(self, layers: dict[Any, Any]) -> Self:
        """Returns this loss for other `layers`, all else the same."""
        other = type(self).__new__(type(self))
        other.__dict__.update(vars(self), layers=check_layers(layers), _alone=_PartsAlone(other))
        other.__dict__.pop("_held", None)
        return other

    def get_config(self) -> dict[str, Any]:
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
            "ignore_class": self.ignore_class,
            "teacher_output": self.teacher_output,
            "mean_over": self.mean_over,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
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
        masks, parts = self._check_pairs(teacher_values, student_values, context)
        pairs = zip(teacher_values, student_values, masks, parts, strict=True)
        return sum(
            self._compare(
                teacher, student, sample_weight, {**context, "mask": mask, "part": part}, number
            )
            for number, (teacher, student, mask, part) in enumerate(pairs)
        )

    def _check_pairs(self, teacher_values, student_values, context):
        """Returns the masks and parts of the pairs, one each, or says that they are no pairs."""
        masks, parts = context.get("mask"), context.get("part")
        several = [_length(values) for values in (teacher_values, student_values)]
        if not isinstance(masks, list | tuple):  # one for all pairs, or none
            masks = [masks] * len(student_values)
        if not isinstance(parts, list | tuple):
            parts = [parts] * len(student_values)
        lengths = dict(zip(("teacher values", "student values"), several, strict=True))
        lengths["masks"] = len(masks)
        if len(set(lengths.values())) > 1 or not len(student_values):
            raise ValueError(
                f"{self.name} compares pairs: lists of one length were expected. Received: "
                + ", ".join(f"{length} {what}" for what, length in lengths.items())
            )
        return masks, parts

    def _values(self, teacher_value, student_value, asked):
        """Returns the formula's values, 0 where the batch is too small for it."""
        values = self.call(teacher_value, student_value, **asked)
        if len(values.shape) == 0:
            raise ValueError(
                f"{type(self).__name__}.call() must return one value per sample; it returned "
                "a scalar, which sample weights, masks and replicas cannot be applied to. "
                f"Received: shape={tuple(values.shape)}"
            )
        if self.least_batch > 1:
            enough = ops.shape(values)[0] >= self.least_batch
            values = values * ops.cast(enough, values.dtype)
        return values

    def _asked(self, context, mask):
        context = {**context, "mask": mask}
        if context.get("stages") is None:
            context["stages"] = dict.fromkeys(self.stages, 1.0)
        for needed, advice in _NEEDED.items():
            if needed in self.asks and context.get(needed) is None:
                raise ValueError(f"{type(self).__name__} needs {advice}. Received: {needed}=None")
        labels = context.get("labels")
        if isinstance(labels, np.ndarray):  # PyTorch does not mix arrays and tensors in a formula
            dtype = self.dtype if labels.dtype.kind == "f" else None
            context["labels"] = ops.convert_to_tensor(labels, dtype=dtype)
        return {name: context.get(name) for name in self.asks}

    def _weights(self, values, mask, sample_weight):
        rank = len(values.shape)
        weights = None
        if mask is not None and "mask" in self.asks:  # the formula has applied it
            sample_weight = _of_real_positions(sample_weight, mask, values)
            if self.mean_over == "tokens" and rank == 1:
                count = real_positions_of(mask, values.dtype)
                weights = ops.divide_no_nan(count, ops.mean(count))
        elif mask is not None:
            if len(mask.shape) > rank:
                raise ValueError(
                    f"{type(self).__name__}.call() sums over positions that a mask of rank "
                    f"{len(mask.shape)} tells apart: let it take an argument `mask`, or give it "
                    "(B, T, 1) in place of (B, T). "
                    f"Received: values of rank {rank}"
                )
            check_mask(mask, values)
            weights = ops.cast(mask, values.dtype)
            if self.reduction in ("sum_over_batch_size", "mean"):
                # Keras' convention: the mean over what is not masked.
                count = ops.cast(ops.size(weights), values.dtype)
                if self.mean_over == "samples":
                    weights = weights * to_rank(share_of_each(weights), len(weights.shape))
                else:
                    weights = weights * ops.divide_no_nan(count, ops.sum(weights))
            weights = to_rank(weights, rank)
        if sample_weight is not None:
            sample_weight = to_rank(ops.convert_to_tensor(sample_weight, values.dtype), rank)
            weights = sample_weight if weights is None else weights * sample_weight
        return None if weights is None else weights * ops.ones_like(values)


def snake_case(name: str) -> str:
    """Returns a class name as Keras writes it in the names of its objects: `KDLoss`, `kd_loss`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _of_real_positions(sample_weight, mask, values):
    """Averages weights of positions to one a sample, as the formula did with the positions."""
    if sample_weight is None or len(values.shape) > 1:
        return sample_weight
    weights = ops.convert_to_tensor(sample_weight, values.dtype)
    if not 1 < len(mask.shape) <= len(weights.shape):
        return weights
    mask = to_rank(ops.cast(mask, values.dtype), len(weights.shape))
    return per_sample_mean(weights * ops.ones_like(mask), mask)


class _PartsAlone:
    """The parts of a loss that is used without a Distiller, where Keras does not look for them."""

    def __init__(self, loss):
        self.loss, self.parts = loss, {}

    def part(self, number, teacher_value, student_value):
        if number not in self.parts:
            shapes = [
                keras.tree.map_structure(lambda x: tuple(x.shape), value)
                for value in (teacher_value, student_value)
            ]
            self.parts[number] = self.loss.make_part(*shapes)
        return self.parts[number]


def _masks(value):
    if isinstance(value, list | tuple):
        return [keras_mask(part) for part in value]
    return keras_mask(value)


def _length(values):
    return len(values) if isinstance(values, list | tuple) else "no list of"
