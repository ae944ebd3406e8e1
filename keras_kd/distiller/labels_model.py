"""The part of a Distiller that learns from labels."""

from __future__ import annotations

import inspect
from typing import Any

import keras

from keras_kd.distiller.argument_checks import check_unlabelled, missing_labels
from keras_kd.distiller.loss_sum import as_term, sum_of
from keras_kd.features.own_inputs import own_inputs
from keras_kd.features.undisturbed import changeable
from keras_kd.losses.formula.given_values import replica_share
from keras_kd.typing import Tensor


class LabelsModel(keras.Model):
    """A model whose loss on labels, and whose metrics, are its `student`'s as if it were alone."""

    @property
    def metrics(self) -> list[keras.Metric]:
        """Keras' `metrics`, and those that the student brings."""
        metrics = super().metrics
        known = {id(metric) for metric in metrics}
        return metrics + [each for each in self._untracked.rules.metrics if id(each) not in known]

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Keras' `compile`; a student without one of its own can be evaluated afterwards."""
        super().compile(*args, **kwargs)
        given = inspect.signature(keras.Model.compile).bind(self, *args, **kwargs).arguments
        names = ("loss", "loss_weights", "metrics", "weighted_metrics")
        self._untracked.rules.compile(*(given.get(name) for name in names))

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles as before the model was saved."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def labels_loss(
        self,
        x: Any,
        y: Any,
        y_pred: Any,
        sample_weight: Tensor | None,
        *,
        training: bool,
        batch: Any,
    ) -> tuple[Tensor, Tensor]:
        """Returns the loss on the labels, 0 where there are none, and the regularisation.

        Args:
            x, y, y_pred, sample_weight, training: As `compute_loss` gets them.
            batch: The number of examples, for the mean that is logged.
        """
        share = as_term(replica_share())
        # `super` adds the regularisers to the labels' loss; the logs tell them apart.
        regularisation = sum_of(self.losses) * share
        student_loss, rules = sum_of([]), self._untracked.rules
        has_loss = self.loss is not None or rules.computes_loss
        self._phase.is_unlabelled = y is None or not has_loss
        if y is not None and has_loss:
            weights = changeable(sample_weight)
            if rules.computes_loss:  # with the student's regularisers, if it adds them
                inputs = own_inputs(self._unpack(x)["inputs"], self.student)
                student_loss = sum_of([rules.loss(inputs, y, y_pred, weights, training)])
                regularisation = regularisation - sum_of(self.student.losses) * share
            else:
                try:
                    student_loss = super().compute_loss(x, y, y_pred, weights, training)
                except KeyError as error:  # Keras', of a path that the labels lack
                    raise missing_labels(y, y_pred) or error from error
                student_loss = as_term(student_loss) - regularisation
            self._student_loss_tracker.update_state(student_loss / share, sample_weight=batch)
        elif self._phase.recording is not None:  # in a step, not in a symbolic build
            check_unlabelled(self, y, training, self._alpha_at_start)
        return student_loss, regularisation

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Tensor | None = None
    ) -> dict[str, Any]:
        """Keras' `compute_metrics`, and the student's own."""
        if y is not None:
            inputs = own_inputs(self._unpack(x)["inputs"], self.student)
            self._untracked.rules.update_metrics(inputs, y, y_pred, sample_weight)
        return super().compute_metrics(x, y, y_pred, sample_weight)
