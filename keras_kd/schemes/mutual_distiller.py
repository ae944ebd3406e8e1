"""Students that teach each other."""

from __future__ import annotations

import functools
import types
from collections.abc import Mapping, Sequence
from typing import Any, Self

import keras
from keras import ops

from keras_kd.checks import check_number, check_temperature
from keras_kd.distiller.loss_sum import as_term, sum_of
from keras_kd.distiller.output_term import OutputTerm
from keras_kd.distiller.student_rules import StudentRules
from keras_kd.features.model_spec import input_spec_among, inspect_model
from keras_kd.features.nested_config import check_unshared, uncompiled_configs, with_parts
from keras_kd.features.output_kind import LOGITS
from keras_kd.features.own_inputs import own_inputs
from keras_kd.losses import DistillationLoss, KDLoss
from keras_kd.losses.formula.keras_mask import both_real, keras_mask
from keras_kd.schemes import peers
from keras_kd.schemes.joint_model import JointModel
from keras_kd.teachers.average import Average
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class MutualDistiller(JointModel):
    """Trains students side by side on the labels and on what the others say.

    ```
    loss = sum_k ( L_k + weight / (N - 1) * sum_{j != k} T^2 KL(p_j || p_k) ) + regularisation
    ```

    L_k is student k's loss on the labels, the loss of `compile`; p is softmax(z / T). No gradient
    flows to the student that teaches. There is no teacher: the students are trained from the start,
    and each leaves as the ordinary model it came as, `model.students[0]`. With one array of labels
    `fit` logs `<student>_loss`, `<student>_mutual_loss` and every metric of every student;
    `evaluate` computes all of it, too. Calls and `predict` give `{name: output}`.

    One optimizer trains all of them on the answers to the same step. The authors update one after
    the other, each on answers of those that have just moved. Optimizers that treat every weight by
    itself (SGD, Adam) do what one for each student would; clipping by `global_clipnorm` does not,
    since the norm is that of all students together.

    Args:
        students: Two or more built `keras.Model`s of any architectures, on the same inputs, that
            each give one output: of one shape and kind, all logits or all probabilities. Their
            names must differ.
        temperature: T, above 0. Defaults to 1, as in the paper.
        weight: What the mutual term is multiplied by, at least 0. Defaults to 1.
        learn_from: `"each"`, the paper's equation above, or `"mean"`: each student learns from the
            mean of all students' probabilities, itself among them, softened with T:
            `T^2 KL(p_mean || p_k)`. That is the plainest of the ensembles that teach their members;
            KDCL and ONE weigh the members, and the paper's DML_e leaves the learner out.
        kd_loss: The `losses.DistillationLoss` on outputs that takes KL's place, such as
            `BinaryKDLoss()` for multi-label students; `KDLoss(ignore_class=255)` leaves positions
            out that have no class.
        name: The model's name.

    Attributes:
        students: The models, trained in place.
        temperature, weight: Float32 variables to `assign` to, which a running step follows.

    Raises:
        TypeError, ValueError: If an argument is wrong or the students cannot be compared.

    Example:

    >>> import keras, keras_kd, numpy as np
    >>> def net(width, name):
    ...     return keras.Sequential([keras.Input((4,)), keras.layers.Dense(width, "relu"),
    ...                              keras.layers.Dense(3)], name=name)
    >>> model = keras_kd.schemes.MutualDistiller([net(2, "small"), net(8, "large")])
    >>> model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> history = model.fit(np.ones((8, 4)), np.zeros(8), verbose=0)
    >>> sorted(history.history)
    ['large_loss', 'large_mutual_loss', 'loss', 'small_loss', 'small_mutual_loss']
    >>> small, large = model.students

    Reference: Zhang, Xiang, Hospedales, Lu, "Deep Mutual Learning", CVPR 2018. On learning from an
    ensemble: Lan, Zhu, Gong, "Knowledge Distillation by On-the-Fly Native Ensemble", NeurIPS 2018;
    Guo et al., "Online Knowledge Distillation via Collaborative Learning", CVPR 2020.
    """

    def __init__(
        self,
        students: Sequence[keras.Model],
        *,
        temperature: float = 1.0,
        weight: float = 1.0,
        learn_from: str = "each",
        # A loss holds no state that two models could share.
        kd_loss: DistillationLoss = KDLoss(),  # noqa: B008
        name: str = "mutual_distiller",
    ) -> None:
        students = peers.check_students(students)
        peers.check_inputs(students)
        peers.check_teaching(learn_from, kd_loss)
        super().__init__(
            [student.name for student in students], name=name, dtype=peers.policy_of(students)
        )
        self.students = students
        # Where Keras does not look, since a loss and rules are no layers.
        rules = [StudentRules(student) for student in students]
        self._untracked = types.SimpleNamespace(kd_loss=kd_loss, learn_from=learn_from, rules=rules)
        peers.check_rules(rules)
        self._temperature = self.add_scalar("temperature", check_temperature(temperature))
        self._weight = self.add_scalar("weight", check_number("weight", weight, least=0.0))
        specs = [inspect_model(each, input_spec_among(each, *students), {}) for each in students]
        peers.check_outputs(students, specs)
        self._term, self._mean = _term_of(kd_loss, specs, learn_from)
        self._logs = [self.add_log(f"{student.name}_mutual_loss") for student in students]
        self.built = True

    @property
    def preprocessed_models(self) -> list[keras.Model]:
        """The students."""
        return self.students

    @property
    def temperature(self) -> keras.Variable:
        """What softens the distributions."""
        return self._temperature

    @property
    def weight(self) -> keras.Variable:
        """What the mutual term is multiplied by."""
        return self._weight

    @property
    def term_weights(self) -> Mapping[str, keras.Variable]:
        """`weight`, under the name `"mutual_loss"`."""
        return {"mutual_loss": self._weight}

    def call(self, inputs: Any, training: bool | None = None) -> dict[str, Tensor]:
        """Returns each student's output by its name."""
        return {
            student.name: student(own_inputs(inputs, student), training=training)
            for student in self.students
        }

    def taught_loss(
        self, y: Any, y_pred: dict[str, Tensor], sample_weight: Tensor | None, training: bool
    ) -> Tensor:
        """Returns `weight` times the sum of the students' mutual terms."""
        outputs = [y_pred[name] for name in self.output_names]
        context = {"labels": y, "temperature": self.temperature, "training": training}
        if self._mean is not None:
            mean = self._mean.call([ops.cast(output, "float32") for output in outputs])
            # A mean is real where every student is; KDLoss reads other masks off the outputs.
            context["mask"] = functools.reduce(both_real, map(keras_mask, outputs))
        terms = []
        for number, output in enumerate(outputs):
            teachers = [*outputs[:number], *outputs[number + 1 :]] if self._mean is None else [mean]
            distances = [
                self._term.distance(output, teacher, sample_weight, **context)
                for teacher in teachers
            ]
            terms.append(sum_of(distances) / len(distances))
            self.log(self._logs[number], terms[number], output)
        return as_term(self.weight) * sum_of(terms)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Keras' `compile`; students without one of their own can be evaluated afterwards.

        A loss, and a list of metrics, are for every student; a dict by their names gives each its
        own.
        """
        super().compile(*args, **kwargs)
        for student, rules in zip(self.students, self._untracked.rules, strict=True):
            self.compile_learner(rules, student.name)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, temperature and weight as they are now."""
        check_unshared(self.students)
        return {
            "name": self.name,
            **uncompiled_configs({"students": list(self.students)}),
            "temperature": float(ops.convert_to_numpy(self.temperature)),
            "weight": float(ops.convert_to_numpy(self.weight)),
            "learn_from": self._untracked.learn_from,
            "kd_loss": keras.saving.serialize_keras_object(self._untracked.kd_loss),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        """Makes the model that `get_config` described."""
        return cls(**with_parts(config, ("students", "kd_loss"), custom_objects))


def _term_of(loss, specs, learn_from):
    """Returns the checked `OutputTerm` of all pairs, and the layer of their mean or None."""
    term = OutputTerm(loss, "mutual_loss", (), (), index=0, output_names=[None])
    found = [(spec.kinds[0], spec.class_axes[0]) for spec in specs]
    if learn_from == "each":
        for one in range(len(specs)):
            other = (one + 1) % len(specs)
            term.check(specs[one].outputs, specs[other].outputs, found[one], found[other])
        return term, None
    for spec, each in zip(specs, found, strict=True):
        spec.check_classes_last("students")
        term.check(spec.outputs, spec.outputs, each, (LOGITS, -1))
    declared = loss.student_from_logits
    mean = Average(
        [1.0 / len(specs)] * len(specs),
        average="probabilities",
        activation=loss.activation,
        from_logits=[spec.is_logits[0] if declared is None else declared for spec in specs],
        name="mean",
    )
    return term, mean
