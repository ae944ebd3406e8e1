"""The Distiller: a Keras model whose `fit` teaches a student."""

import contextlib
import threading

import keras
from keras import ops

from keras_kd.checks import check_fraction, check_temperature
from keras_kd.distiller import argument_checks
from keras_kd.distiller.awaited_shapes import AwaitedShapes
from keras_kd.distiller.carried_data import unpack
from keras_kd.distiller.grow_optimizer import grow_optimizer
from keras_kd.distiller.inside_term import inside_term
from keras_kd.distiller.output_term import output_terms
from keras_kd.distiller.step import Step
from keras_kd.distiller.strategy_scope import strategy_scope
from keras_kd.distiller.term_distances import answer, term_distances
from keras_kd.distiller.untracked import Untracked
from keras_kd.features.model_spec import input_spec_among, inspect_model
from keras_kd.features.own_inputs import own_inputs
from keras_kd.features.recording import Recording
from keras_kd.features.string_inputs import check_strings
from keras_kd.features.uncompiled_config import uncompiled_config
from keras_kd.losses import KDLoss
from keras_kd.losses.formula.given_values import replica_share
from keras_kd.teachers.in_dtype import follow_weights, in_dtype

_RESERVED = ("alpha", "kd_loss", "loss", "student_loss", "temperature")


@keras.saving.register_keras_serializable(package="keras_kd")
class Distiller(keras.Model):
    """Trains a student on the labels and on what a frozen teacher says.

    ```
    loss = alpha * student_loss + (1 - alpha) * kd_loss + sum_i weight_i * feature_loss_i
           + regularisation
    ```

    `alpha` weighs the labels, `1 - alpha` the teacher (other writers use the letter the other way
    round). It is compiled, fitted, evaluated and saved like any Keras model; `predict` and calls
    give the student's outputs. The student trains in place: after `fit`, `distiller.student` is an
    ordinary model that carries no teacher. The teacher is never changed.

    Args:
        student: The built `keras.Model` to train.
        teacher: The trained `keras.Model` to learn from, on the same inputs (a teacher that wants
            others takes a preprocessing layer in front, or both take their own of a dict of inputs
            by name). None if its outputs travel with the data: then `x` is `{"inputs": x,
            "teacher_outputs": outputs}`, and for feature losses also
            `"teacher_features": {key: value}`, by `features.Tap.key`.
        alpha: Weight of the labels, from 0 to 1. At 0 no labels are needed. Defaults to 0.1.
        temperature: Softens both distributions, above 0. Defaults to 4.
        kd_loss: A `losses.DistillationLoss` for every output, a dict or list of them that follows
            the student's outputs with None where an output is not distilled, or None.
        feature_losses: Losses with `layers={student_layer: teacher_layer}`.
        teacher_dtype: A Keras dtype policy, such as `"bfloat16"`, that a copy of the teacher
            computes in, for machines that are faster at it. None runs the teacher as it is.
        validate_with_teacher: Whether `evaluate` runs the teacher and reports the full loss. By
            default it reports what `student.evaluate` would.
        name: The model's name.

    Attributes:
        student, teacher: The two models.
        alpha, temperature: Float32 variables, which callbacks change in a running step.

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
        student,
        teacher=None,
        *,
        alpha=0.1,
        temperature=4.0,
        kd_loss=KDLoss(),  # noqa: B008  a loss holds no state
        feature_losses=(),
        teacher_dtype=None,
        validate_with_teacher=False,
        name="distiller",
    ):
        argument_checks.check_models(student, teacher)
        # Autocast would hand teacher and student other inputs than their own.
        super().__init__(name=name, dtype=student.dtype_policy, autocast=False)
        self.student = student
        # Untracked, so that nothing done to the Distiller (`trainable`, `add_loss`) reaches it.
        self._teacher = Untracked(teacher)
        self.teacher_dtype = teacher_dtype
        running = in_dtype(teacher, teacher_dtype)
        self._running_teacher = Untracked(running)
        self._kd_loss = Untracked(kd_loss)
        self.validate_with_teacher = bool(validate_with_teacher)
        self.alpha = self._add_scalar("alpha", check_fraction(alpha))
        self.temperature = self._add_scalar("temperature", check_temperature(temperature))
        self.batches_seen = self._add_scalar("batches_seen", 0, "int32")
        self._student_loss_tracker = keras.metrics.Mean(name="student_loss")
        self._kd_loss_tracker = keras.metrics.Mean(name="kd_loss")
        self.output_terms = output_terms(
            kd_loss, student, self._inspect(student), running and self._inspect(running)
        )
        spec = input_spec_among(student, teacher)
        self._input_names = set(spec) if isinstance(spec, dict) else set()
        self.feature_terms = []
        self._awaited = AwaitedShapes(self._input_names)
        for loss in argument_checks.check_feature_losses(feature_losses):
            self.attach(loss)
        self._step = threading.local()
        self._evaluating = False
        self._unlabelled = {"train": False, "test": False}
        self._alpha_at_start = float(alpha)
        self.built = True

    @property
    def teacher(self):
        """The teacher, or None."""
        return self._teacher.value

    @property
    def output_names(self):
        """The student's output names, as `compile` expects them for dicts of losses."""
        return self.student.output_names

    @property
    def term_weights(self):
        """The weight of each loss by its name, a variable that callbacks change."""
        weights = [term.weights_by_name for term in [*self.output_terms, *self.feature_terms]]
        return {name: weight for of_term in weights for name, weight in of_term.items()}

    @property
    def trains_unlabelled(self):
        """Whether the training step that was traced last had no labels' loss."""
        return self._unlabelled["train"]

    @property
    def non_trainable_variables(self):
        """All state that training does not change by gradient, the teacher's included."""
        variables = super().non_trainable_variables
        if self.teacher is None:
            return variables
        known = {id(variable) for variable in self.variables}
        running = self._running_teacher.value.variables
        return variables + [v for v in running if id(v) not in known]

    def call(self, inputs, training=None):
        """Returns the student's outputs."""
        inputs = own_inputs(self._unpack(inputs)["inputs"], self.student)
        check_strings(inputs, self.student, "student")
        return self.student(inputs, training=training)

    def train_step(self, *args, **kwargs):
        """Keras' training step, with the student's tapped values recorded."""
        with self._open_step("train"):
            return super().train_step(*args, **kwargs)

    def test_step(self, *args, **kwargs):
        """Keras' test step, with the student's tapped values recorded."""
        with self._open_step("test"):
            return super().test_step(*args, **kwargs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns the equation's value for one batch and updates its logs."""
        batch = ops.shape(keras.tree.flatten(y_pred)[0])[0]
        share = replica_share()
        # `super` adds the regularisers to the labels' loss; the logs tell them apart.
        regularisation = sum((ops.sum(loss) for loss in self.losses), ops.zeros(())) * share
        student_loss = ops.zeros(())
        self._unlabelled[self._phase()] = y is None or self.loss is None
        if y is not None and self.loss is not None:
            student_loss = super().compute_loss(x, y, y_pred, sample_weight, training)
            student_loss = student_loss - regularisation
            self._student_loss_tracker.update_state(student_loss / share, sample_weight=batch)
        elif hasattr(self._step, "phase"):  # in a step, not in a symbolic build
            argument_checks.check_unlabelled(self, y, training, self._alpha_at_start)
        if not training and not self.validate_with_teacher:
            return student_loss + regularisation
        if training:
            self.batches_seen.assign_add(1)
        kd_loss, feature_loss = self._teacher_losses(x, y, y_pred, sample_weight, training)
        self._kd_loss_tracker.update_state(kd_loss / share, sample_weight=batch)
        for term, distance in feature_loss:
            term.tracker.update_state(distance / share, sample_weight=batch)
        return (
            self.alpha * student_loss
            + (1.0 - self.alpha) * kd_loss
            + sum(term.loss_weight * distance for term, distance in feature_loss)
            + regularisation
        )

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Keras' `compute_metrics`; without labels the compiled metrics rest."""
        if y is None:
            self._unlabelled[self._phase()] = True
            return self.get_metrics_result()
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def get_metrics_result(self):
        """Returns the metrics of the phase that runs, without terms that it does not compute."""
        phase, silent = self._phase(), set()
        if self._unlabelled[phase]:
            silent |= {"student_loss", "compile_metrics"}
        if phase == "test" and not self.validate_with_teacher:
            silent |= {"kd_loss", *(term.name for term in self.feature_terms)}
        results = {}
        for metric in (metric for metric in self.metrics if metric.name not in silent):
            result = metric.result()
            results.update(result if isinstance(result, dict) else {metric.name: result})
        return results

    def fit(self, *args, **kwargs):
        """Keras' `fit`; data that yield no batch are an error on every backend."""
        if self._unlabelled["train"]:  # labels, if they come now, bring metrics to be built
            self.train_function = None
        losses = [term.loss for term in [*self.output_terms, *self.feature_terms]]
        argument_checks.check_fitted_batches(losses, *args, **kwargs)
        follow_weights(self._running_teacher.value, self.teacher)
        with argument_checks.no_end_at_once(), self._awaited.told_by(self, *args, **kwargs):
            history = super().fit(*args, **kwargs)
            if history.epoch and "loss" not in history.history:
                raise StopIteration
        return history

    def evaluate(self, *args, **kwargs):
        """Keras' `evaluate`; it runs no teacher unless `validate_with_teacher` is set."""
        self._evaluating = True
        follow_weights(self._running_teacher.value, self.teacher)
        waits = self.validate_with_teacher and self._awaited.waiting
        told = self._awaited.told_by(self, *args, **kwargs) if waits else contextlib.nullcontext()
        try:
            with argument_checks.no_end_at_once(), told:
                results = super().evaluate(*args, **kwargs)
                if results in ([], {}):
                    raise StopIteration
            return results
        finally:
            self._evaluating = False

    def make_train_function(self, force=False):
        """Keras' `make_train_function`; notes alpha, which the trace needs as a number."""
        self._alpha_at_start = float(ops.convert_to_numpy(self.alpha))
        if self.train_function is None:  # `train_on_batch` comes here for every batch
            follow_weights(self._running_teacher.value, self.teacher)
        return super().make_train_function(force)

    def make_test_function(self, force=False):
        """Keras' `make_test_function`."""
        if self.test_function is None:
            follow_weights(self._running_teacher.value, self.teacher)
        return super().make_test_function(force)

    def attach(self, loss, *, active=True):
        """Adds a feature loss, also to a Distiller that is compiled.

        Args:
            loss: A `DistillationLoss` with `layers`.
            active: False starts it at weight 0, for a callback to raise.

        Returns:
            Its term; None where there is no teacher and the loss waits for `fit` to see the data.
        """
        taken = [*_RESERVED, *(each.name for each in self._feature_losses())]
        if loss.name in taken:
            raise ValueError(
                "Two losses of one name cannot be told apart in the logs: give one of them "
                f"`name=`. Received: name={loss.name!r}. Taken: {taken}"
            )
        if self.teacher is None:
            loss = self._awaited.shaped(loss, active)
        if loss is None:
            return None
        with strategy_scope(self):
            term = inside_term(loss, self.student, self._running_teacher.value, self._inspect)
            if not active:
                term.loss_weight.assign(0.0)
            self.feature_terms.append(term)
            if self.compiled:
                grow_optimizer(self.optimizer, self.trainable_variables)
                self.train_function = self.test_function = None
        return term

    def save_own_variables(self, store):
        """Saves the scalars and, which Keras does not, where each random generator stands."""
        super().save_own_variables(store)
        for index, state in enumerate(self._seed_states()):
            store[f"seed_{index}"] = ops.convert_to_numpy(state)

    def load_own_variables(self, store):
        """Loads what `save_own_variables` saved: dropout goes on with its own random numbers."""
        names = [name for name in store.keys() if not name.startswith("seed_")]  # noqa: SIM118
        super().load_own_variables({name: store[name] for name in names})
        for index, state in enumerate(self._seed_states()):
            state.assign(store[f"seed_{index}"])

    def get_config(self):
        """Returns the constructor's arguments, alpha and temperature as they are now."""
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "student": uncompiled_config(self.student),
            "teacher": self.teacher and uncompiled_config(self.teacher),
            "alpha": float(ops.convert_to_numpy(self.alpha)),
            "temperature": float(ops.convert_to_numpy(self.temperature)),
            "kd_loss": serialize(self._kd_loss.value),
            "feature_losses": [serialize(loss) for loss in self._feature_losses()],
            "teacher_dtype": self.teacher_dtype,
            "validate_with_teacher": self.validate_with_teacher,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Makes the Distiller that `get_config` described."""
        with keras.saving.custom_object_scope(custom_objects or {}):
            config = {
                key: keras.saving.deserialize_keras_object(value)
                if key in ("student", "teacher", "kd_loss", "feature_losses")
                else value
                for key, value in config.items()
            }
        return cls(**config)

    @contextlib.contextmanager
    def _open_step(self, phase):
        with Recording() as recording:
            self._step.recording, self._step.phase = recording, phase
            try:
                yield
            finally:
                del self._step.recording, self._step.phase

    def _phase(self):
        return getattr(self._step, "phase", "test" if self._evaluating else "train")

    def _teacher_losses(self, x, y, y_pred, sample_weight, training):
        """Returns the outputs' loss and a list of (feature term, distance)."""
        # Keras builds a model symbolically outside a step: then nothing has been recorded.
        recording = getattr(self._step, "recording", None)
        feature_terms = [] if recording is None else list(self.feature_terms)
        if recording is not None:
            self._awaited.check_none_waits()
        if not self.output_terms and not feature_terms:
            return ops.zeros(()), []
        carried = self._unpack(x)
        teacher, outputs = answer(self._running_teacher.value, carried)
        context = {"labels": y, "temperature": self.temperature, "training": training}
        context["index"] = carried.get("index")
        step = Step(recording, teacher, carried["inputs"], outputs, context)
        return term_distances(self.output_terms, feature_terms, step, y_pred, sample_weight)

    def _unpack(self, x):
        """Returns the models' inputs and what else travels in `x`, by name."""
        return unpack(x, self._input_names, has_teacher=self.teacher is not None)

    def _feature_losses(self):
        return [*(term.loss for term in self.feature_terms), *self._awaited.waiting]

    def _add_scalar(self, name, value, dtype="float32"):
        return self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(value),
            dtype=dtype,
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
            name=name,
        )

    def _seed_states(self):
        weights = {id(variable) for variable in self.weights}
        return [variable for variable in self.variables if id(variable) not in weights]

    def _inspect(self, model, taps=None):
        return inspect_model(model, input_spec_among(model, self.student, self.teacher), taps or {})
