"""What a model of several learners does with one array of labels."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, NoReturn

import keras

from keras_kd.checks import check_number
from keras_kd.distiller.loss_sum import as_term, sum_of
from keras_kd.distiller.loss_term import add_scalar
from keras_kd.distiller.student_rules import StudentRules
from keras_kd.features.layer_tree import nearest
from keras_kd.features.undisturbed import changeable
from keras_kd.losses.formula.given_values import replica_share
from keras_kd.schemes.several_models import SeveralModels
from keras_kd.typing import Tensor

_OF_EACH = ("loss", "loss_weights", "metrics", "weighted_metrics")


class JointModel(SeveralModels):
    """A model that answers once for each of its learners, `{name: output}`, and learns one task.

    One array of labels, and one of sample weights, is for all of them. So are the loss and the
    metrics of `compile`; a dict by the learners' names gives each its own. The logs name the
    learners. A subclass computes in `taught_loss` what the learners teach each other.

    Args:
        learners: The learners' names.
        **kwargs: Keras' `name` and `dtype`.
    """

    def __init__(self, learners: list[str], **kwargs: Any) -> None:
        # Autocast would hand the learners other inputs than their own.
        super().__init__(autocast=False, **kwargs)
        self._learners = tuple(learners)
        self.batches_seen = add_scalar(self, "batches_seen", 0, "int32")

    @property
    def output_names(self) -> list[str]:
        """The learners' names, as `compile` expects them in dicts."""
        return list(self._learners)

    @property
    def term_weights(self) -> Mapping[str, keras.Variable]:
        """The weights of what the learners teach each other, for `LossWeightScheduler`."""
        raise NotImplementedError

    def taught_loss(
        self, y: Any, y_pred: dict[str, Tensor], sample_weight: Tensor | None, training: bool
    ) -> Tensor:
        """Returns what the learners teach each other in one batch, and updates its logs."""
        raise NotImplementedError

    def label_weights(self, given: Any) -> dict[str, Any] | None:
        """Returns the weight of each learner's loss on labels; `given` is that of `compile`."""
        if given is None:
            return None
        if not isinstance(given, Mapping):
            raise ValueError(
                f"`loss_weights` must be a dict by names of {self.output_names}. Received: "
                f"loss_weights={given!r}"
            )
        given = self._by_name("loss_weights", given)
        return {name: check_number("loss_weights", given.get(name, 1.0)) for name in self._learners}

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Keras' `compile`; a loss and metrics that are no dicts are for every learner."""
        given = inspect.signature(keras.Model.compile).bind(self, *args, **kwargs).arguments
        given = {name: value for name, value in given.items() if name != "self"}
        own = {name: given.get(name) for name in _OF_EACH}
        each = {
            "loss": self._loss_of_each(own["loss"]),
            "loss_weights": self.label_weights(own["loss_weights"]),
            "metrics": self._metrics_of_each("metrics", own["metrics"]),
            "weighted_metrics": self._metrics_of_each("weighted_metrics", own["weighted_metrics"]),
        }
        super().compile(**{**given, **each})
        self._compile_config.config.update(own)  # a file holds what the user gave

    def compile_learner(self, rules: StudentRules, name: str) -> None:
        """Compiles a learner for `evaluate` with its part of what this model was compiled with."""
        given = self._compile_config.config
        loss, metrics, weighted = (
            value.get(name) if isinstance(value, Mapping) else value
            for value in (given[key] for key in ("loss", "metrics", "weighted_metrics"))
        )
        if loss is not None:
            rules.compile(loss, None, metrics, weighted)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Tensor | None = None,
        training: bool = True,
    ) -> Tensor:
        """Returns the learners' losses on labels, and what they teach each other."""
        self._check_labels(y, sample_weight)
        if training:
            self.batches_seen.assign_add(1)
        if y is None or self.loss is None:
            on_labels = sum_of(self.losses) * as_term(replica_share())
        else:
            weights = self._for_each(sample_weight, changeable)
            on_labels = super().compute_loss(x, self._for_each(y), y_pred, weights, training)
        return as_term(on_labels) + self.taught_loss(y, y_pred, sample_weight, training)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Tensor | None = None
    ) -> dict[str, Any]:
        """Keras' `compute_metrics`, with the labels for every learner."""
        if y is None:
            return self.get_metrics_result()
        weights = self._for_each(sample_weight)
        return super().compute_metrics(x, self._for_each(y), y_pred, weights)

    def export(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Says what is exported in this model's place."""
        raise ValueError(
            "What learns here is exported as the ordinary model it is: call `export` of one of "
            "`students`, or of `model`, or keras_kd.export_student. Received: "
            f"{type(self).__name__} '{self.name}'"
        )

    def add_scalar(self, name: str, value: float) -> keras.Variable:
        """Makes a variable that training leaves alone and callbacks change."""
        return add_scalar(self, name, value)

    def _for_each(self, value, made=lambda value: value):
        return None if value is None else {name: made(value) for name in self._learners}

    def _loss_of_each(self, loss):
        if loss is None:
            return None
        if isinstance(loss, Mapping):
            missing = [
                name for name in self._learners if self._by_name("loss", loss).get(name) is None
            ]
            if missing:
                raise ValueError(
                    "`loss` must be one loss for all, or a dict with one for each of "
                    f"{self.output_names}. Received: loss without {missing}"
                )
            return dict(loss)
        if isinstance(loss, list | tuple):
            raise ValueError(
                "`loss` must be one loss for all, or a dict by the names of "
                f"{self.output_names}. Received: loss={loss!r}"
            )
        return self._for_each(loss)

    def _metrics_of_each(self, argument, metrics):
        if metrics is None:
            return None
        if isinstance(metrics, Mapping):
            return dict(self._by_name(argument, metrics))
        if not isinstance(metrics, list | tuple) or any(
            isinstance(metric, list | tuple | Mapping) for metric in metrics
        ):
            raise ValueError(
                f"`{argument}` must be a list, for every one of {self.output_names}, or a dict by "
                f"their names. Received: {argument}={metrics!r}"
            )
        return {name: [_another(argument, metric) for metric in metrics] for name in self._learners}

    def _by_name(self, argument, given):
        for name in given:
            if name not in self._learners:
                raise ValueError(
                    f"`{argument}` names what is not there. Received: {name!r}."
                    f"{nearest(name, self._learners)} Available: {self.output_names}"
                )
        return given

    def _check_labels(self, y, sample_weight):
        for argument, value in (("y", y), ("sample_weight", sample_weight)):
            if keras.tree.is_nested(value):
                raise ValueError(
                    f"`{argument}` must be one array, which is for every one of "
                    f"{self.output_names}. Received: {argument} of type {type(value).__name__}"
                )
        if y is None and (self.loss is not None or self._compile_metrics is not None):
            raise ValueError(
                "The compiled loss and metrics need labels: give `y` (with the label -1 and a loss "
                "of ignore_class=-1 where an example has none), or compile without loss and "
                "metrics to learn from each other alone. Received: y=None"
            )


def _another(argument, metric):
    """Returns the same metric with a state of its own."""
    if not isinstance(metric, keras.Metric):
        return metric
    try:
        return type(metric).from_config(metric.get_config())
    except Exception as error:  # of whatever a stranger's class raises
        raise ValueError(
            "A metric must be made again for every learner, which this one cannot be: give "
            f"{argument}={{name: [metric]}} with one for each. Received: {metric!r} ({error})"
        ) from error
