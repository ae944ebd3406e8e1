"""The Distiller: a Keras model whose `fit` teaches a student."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_kd.distiller import argument_checks
from keras_kd.distiller.awaited_shapes import AwaitedShapes
from keras_kd.distiller.carried_data import unpack
from keras_kd.distiller.equation import described
from keras_kd.distiller.feature_term import FeatureTerm
from keras_kd.distiller.fitting_model import FittingModel
from keras_kd.distiller.followed_model import FollowedModel
from keras_kd.distiller.gradient_term import GradientTerm
from keras_kd.distiller.labels_model import LabelsModel
from keras_kd.distiller.late_variables import join_training
from keras_kd.distiller.loss_sum import as_term, sum_of
from keras_kd.distiller.loss_term import add_scalar
from keras_kd.distiller.multi_worker_model import MultiWorkerModel
from keras_kd.distiller.output_term import output_terms
from keras_kd.distiller.phased_model import PhasedModel
from keras_kd.distiller.raw_data_model import RawDataModel
from keras_kd.distiller.settings_model import SettingsModel
from keras_kd.distiller.stored_model import StoredModel
from keras_kd.distiller.student_rules import StudentRules
from keras_kd.distiller.taking_turns import TurnTakingModel, alone_with
from keras_kd.distiller.term_distances import teacher_losses
from keras_kd.features.model_spec import input_spec_among, inspect_model
from keras_kd.features.own_inputs import own_inputs, told_whose
from keras_kd.features.preprocessing import check_preprocessed
from keras_kd.features.strategy_scope import strategy_scope
from keras_kd.features.string_inputs import check_strings
from keras_kd.losses import DistillationLoss, KDLoss
from keras_kd.losses.formula.given_values import replica_share
from keras_kd.teachers.in_dtype import in_dtype
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class Distiller(
    SettingsModel,
    LabelsModel,
    RawDataModel,
    FittingModel,
    FollowedModel,
    PhasedModel,
    StoredModel,
    TurnTakingModel,
    MultiWorkerModel,
):
    """Trains a student on the labels and on what a frozen teacher says.

    ```
    loss = alpha * student_loss + (1 - alpha) * kd_loss + sum_i weight_i * feature_loss_i
           + regularisation
    ```

    `alpha` weighs the labels, `1 - alpha` the teacher (other writers use the letter the other way
    round). It is compiled, fitted, evaluated and saved like any Keras model; `predict` and calls
    give the student's outputs. The student trains in place: after `fit`, `distiller.student` is an
    ordinary model that carries no teacher. The teacher is never changed, unless it is one that
    follows the student, as `teachers.MovingAverage` does after each step.

    Args:
        student: The built `keras.Model` to train. Its own `compute_loss`, `compute_metrics` and
            metrics count; what its `compute_loss` returns is the student's loss.
        teacher: The trained `keras.Model` to learn from, on the same inputs. A teacher that wants
            others takes a preprocessing layer in front, or both take their own of a dict of inputs
            by name, or `x` is `{"inputs": x, "teacher_inputs": x}`. Raw data of KerasHub's tasks go
            through their preprocessors, as in a task's own `fit`. None if its outputs travel with
            the data: then `x` is `{"inputs": x, "teacher_outputs": outputs}`, and for feature
            losses also `"teacher_features": {key: value}`, by `features.Tap.key`.
        alpha: Weight of the labels, from 0 to 1. At 0 no labels are needed. Defaults to 0.1.
        temperature: Softens both distributions, above 0. Defaults to 4.
        kd_loss: A `losses.DistillationLoss` for every output, a dict or list of them that follows
            the student's outputs with None where an output is not distilled, or None. Where the
            teacher's outputs are others, `teacher_output` of a loss says which one it listens to;
            a teacher of one output teaches whichever outputs a dict or list names.
        feature_losses: Losses with `layers={student_layer: teacher_layer}`.
        teacher_dtype: A Keras dtype policy, such as `"bfloat16"`, that a copy of the teacher
            computes in, for machines that are faster at it. None runs the teacher as it is.
        validate_with_teacher: Whether `evaluate` runs the teacher and reports the full loss. By
            default it reports what `student.evaluate` would: then `val_loss` is the labels' loss
            alone, to be compared with `student_loss` and not with `loss`.
        sample_weight_on: `"all"` (the default): class and sample weights weigh every term, the
            teacher's too. `"labels"`: they weigh the labels' loss alone; padding that is told by
            weights then counts in the teacher's terms.
        name: The model's name.

    Attributes:
        student, teacher: The two models.
        alpha, temperature: Float32 variables, which callbacks change in a running step; numbers
            can be assigned too, as to `validate_with_teacher`. All else stays as it was made.

    Raises:
        TypeError, ValueError: If an argument is wrong or the models cannot be compared.

    Example:

    >>> import keras, keras_kd, numpy as np
    >>> def net(width):
    ...     return keras.Sequential([keras.Input((4,)), keras.layers.Dense(width, "relu"),
    ...                              keras.layers.Dense(3)])
    >>> distiller = keras_kd.Distiller(net(2), net(64), alpha=0.1, temperature=4.0)
    >>> distiller.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> history = distiller.fit(np.ones((8, 4)), np.zeros(8), verbose=0)
    >>> sorted(history.history)
    ['kd_loss', 'loss', 'student_loss']

    Reference: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015.
    """

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model | None = None,
        *,
        alpha: float = 0.1,
        temperature: float = 4.0,
        # A loss holds no state that two Distillers could share.
        kd_loss: DistillationLoss | Mapping[str, Any] | Sequence[Any] | None = KDLoss(),  # noqa: B008
        feature_losses: Iterable[DistillationLoss] = (),
        teacher_dtype: str | None = None,
        validate_with_teacher: bool = False,
        sample_weight_on: str = "all",
        name: str = "distiller",
    ) -> None:
        argument_checks.check_models(student, teacher)
        argument_checks.check_scope(student)
        argument_checks.warn_of_quantized(student)
        # Autocast would hand teacher and student other inputs than their own.
        super().__init__(name=name, dtype=student.dtype_policy, autocast=False)
        self.student = student
        with alone_with(teacher):
            running = in_dtype(teacher, teacher_dtype)
        # Where Keras does not look, so that `trainable` and `add_loss` do not reach the teacher.
        self._untracked = types.SimpleNamespace(
            teacher=teacher,
            running=running,
            kd_loss=kd_loss,
            rules=StudentRules(student),
            bare=None,
        )
        self.teacher_dtype = teacher_dtype
        self.check_follower()
        self.sample_weight_on = argument_checks.check_weighted(sample_weight_on)
        self.make_settings(alpha, temperature, validate_with_teacher)
        self.batches_seen = add_scalar(self, "batches_seen", 0, "int32")
        self._student_loss_tracker = keras.metrics.Mean(name="student_loss", dtype="float32")
        self._kd_loss_tracker = keras.metrics.Mean(name="kd_loss", dtype="float32")
        self.output_terms = output_terms(
            kd_loss,
            student,
            self._inspect(student),
            teacher,
            running and self._inspect(running),
        )
        spec = input_spec_among(student, teacher)
        self._input_names = set(spec) if isinstance(spec, dict) else set()
        self.feature_terms: list[FeatureTerm | GradientTerm] = []
        self._awaited = AwaitedShapes(self._input_names)
        for loss in argument_checks.check_feature_losses(feature_losses):
            self.attach(loss)
        self._alpha_at_start = float(alpha)
        self.built = True
        self.keep_wiring()

    @property
    def teacher(self) -> keras.Model | None:
        """The teacher, or None."""
        return self._untracked.teacher

    @property
    def output_names(self) -> list[str]:
        """The student's output names, as `compile` expects them for dicts of losses."""
        return self.student.output_names

    @property
    def term_weights(self) -> Mapping[str, keras.Variable]:
        """The weight of each loss by its name, a variable to `assign` to, as callbacks do."""
        terms = [*self.output_terms, *self.feature_terms]
        weights = {name: each for term in terms for name, each in term.weights_by_name.items()}
        return types.MappingProxyType(weights)

    @property
    def non_trainable_variables(self) -> list[keras.Variable]:
        """All state that training does not change by gradient, the teacher's included."""
        known = {id(variable) for variable in self.variables}
        running = getattr(self._untracked.running, "variables", [])
        return super().non_trainable_variables + [v for v in running if id(v) not in known]

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the student's outputs."""
        inputs = own_inputs(self._unpack(inputs)["inputs"], self.student)
        check_preprocessed(self.student, inputs, "student")
        check_strings(inputs, self.student, "student")
        with told_whose(inputs, self.student, "student"):
            return self.student(inputs, training=training)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Tensor | None = None,
        training: bool = True,
    ) -> Tensor:
        """Returns the equation's value for one batch and updates its logs."""
        batch = ops.shape(keras.tree.flatten(y_pred)[0])[0]
        student_loss, regularisation = self.labels_loss(
            x, y, y_pred, sample_weight, training=training, batch=batch
        )
        if not training and not self.validate_with_teacher:
            return student_loss + regularisation
        if training:
            self.batches_seen.assign_add(1)
        # Keras builds a model symbolically outside a step: then nothing has been recorded.
        recording = self._phase.recording
        if recording is not None:
            self._awaited.check_none_waits()
        terms = [self.output_terms, [] if recording is None else list(self.feature_terms)]
        context = {"labels": y, "temperature": self.temperature, "training": training}
        running, carried = self._untracked.running, self._unpack(x)
        weights = sample_weight if self.sample_weight_on == "all" else None
        kd_loss, feature_loss, logged = teacher_losses(
            running, carried, recording, y_pred, weights, terms=terms, context=context
        )
        share = as_term(replica_share())
        self._kd_loss_tracker.update_state(logged[0] / share, sample_weight=batch)
        for (term, _), value in zip(feature_loss, logged[1], strict=True):
            term.tracker.update_state(value / share, sample_weight=batch)
        inside = sum_of(as_term(term.loss_weight) * distance for term, distance in feature_loss)
        alpha = as_term(self.alpha)
        return alpha * student_loss + (1.0 - alpha) * kd_loss + inside + regularisation

    def silent_terms(self, phase: str) -> list[str]:
        """Returns what `evaluate` leaves out where it runs no teacher."""
        if phase == "train" or self.validate_with_teacher:
            return []
        return ["kd_loss", *(term.name for term in self.feature_terms)]

    def attach(
        self, loss: DistillationLoss, *, active: bool = True
    ) -> FeatureTerm | GradientTerm | None:
        """Adds a feature loss, also to a Distiller that is compiled.

        Args:
            loss: A `DistillationLoss` with `layers`.
            active: False starts it at weight 0, for a callback to raise.

        Returns:
            Its term; None where there is no teacher and the loss waits for `fit` to see the data.
        """
        argument_checks.check_name_is_free(loss, self._feature_losses())
        loss = self._awaited.shaped(loss, active) if self.teacher is None else loss
        if loss is None:
            return None
        with strategy_scope(self):
            kind = GradientTerm if loss.side == "input_gradient" else FeatureTerm
            term = kind(loss, self.student, self._untracked.running, self._inspect)
            if not active:
                term.loss_weight.assign(0.0)
            self.feature_terms.append(term)
            join_training(self)
        return term

    def summary(self, *args: Any, **kwargs: Any) -> None:
        """Keras' `summary` of the student, behind the equation and a line for each model."""
        given = inspect.signature(keras.Model.summary).bind(self, *args, **kwargs).arguments
        show = given.get("print_fn") or print
        for line in (f'Distiller: "{self.name}"', *described(self)):
            show(line)
        self.student.summary(*args, **kwargs)

    def _unpack(self, x):
        return unpack(x, self._input_names, has_teacher=self.teacher is not None)

    def _feature_losses(self):
        return [*(term.loss for term in self.feature_terms), *self._awaited.waiting]

    def _inspect(self, model, taps=None):
        spec = input_spec_among(model, self.student, self.teacher)
        with alone_with(self.teacher):
            return inspect_model(model, spec, taps or {})
