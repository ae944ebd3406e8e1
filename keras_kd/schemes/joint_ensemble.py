"""Several small models that are trained as one."""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping, Sequence
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from keras_kd.checks import check_flag
from keras_kd.distiller.loss_sum import as_term, sum_of
from keras_kd.distiller.student_rules import StudentRules
from keras_kd.features.joined_inputs import JoinedInputsModel
from keras_kd.features.model_spec import input_spec_among, inspect_model
from keras_kd.features.nested_config import check_unshared, uncompiled_configs, with_parts
from keras_kd.features.own_inputs import own_inputs
from keras_kd.features.undisturbed import changeable
from keras_kd.losses.formula.given_values import replica_share
from keras_kd.schemes import peers
from keras_kd.schemes.joint_average import AsLogits, JointAverage
from keras_kd.schemes.several_models import SeveralModels
from keras_kd.schemes.step_values import StepValues
from keras_kd.teachers.average import AVERAGES
from keras_kd.teachers.members import check_activation, check_one_output, kinds_of
from keras_kd.typing import Tensor

_LOGS = ("loss", "weight")  # of each member


@keras.saving.register_keras_serializable(package="keras_kd")
class JointEnsemble(JoinedInputsModel, SeveralModels):
    """Trains several small models as one, whose answer is their weighted mean or their vote.

    ```
    w = softmax(v)                                   v trained, 0 at first; or w = 1 / N
    "probabilities":  z = log sum_i w_i softmax(z_i)     loss = L(y, z)
    "logits":         z = sum_i w_i z_i                  loss = L(y, z)
    "vote":           z = log sum_i w_i onehot(argmax z_i)
                                                         loss = L(y, z) + sum_i L(y, z_i)
    ```

    L is the loss of `compile`, on labels. The answer always is logits, whose softmax is the mean
    probability or the share of the votes (0 is taken for 1e-7): compile with `from_logits=True`.
    Members may end in logits or in softmax (sigmoid), each on its own.

    What is trained is the answer, so that members share the work and need not be good alone (see
    Jeffares et al., 2023); `<member>_loss` in the logs says how good each is. A vote has no
    gradient: there each member learns the labels by itself, as if it were trained alone, and the
    loss of the vote trains the weights. As a student of a Distiller a vote is refused. `fit` and
    `evaluate` also log `<member>_weight`.

    It is one model: `export_student` exports it as one, and it is a teacher like any other, live or
    through a `TeacherCache`. `members` are the ordinary models that it was given.

    Args:
        models: Two or more built `keras.Model`s that each give one output, of one shape. Of inputs
            by name each takes its own. Their names must differ.
        average: `"probabilities"` (the default), `"logits"` or `"vote"`.
        learn_weights: Whether w is trained. Defaults to True.
        activation: `"softmax"` (the default) for one class an example, `"sigmoid"` for multi-label
            outputs and for one number of yes or no.
        from_logits: Whether the models return logits: True, False, or a list with one of them for
            each model. None (the default) finds out from their last layers.
        name: The model's name.

    Attributes:
        members: The models, trained in place.
        member_weights: w as a list of numbers.

    Raises:
        TypeError, ValueError: If there are not two models, names are not distinct, one is not
            built, tasks have preprocessors of their own, one has a training step of its own,
            outputs or inputs do not fit each other, it cannot be known what a model returns, its
            probabilities are of another activation, or in `compile` if the loss takes the answer
            for probabilities.

    Example:

    >>> import keras, keras_kd, numpy as np
    >>> def net(name):
    ...     return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)], name=name)
    >>> model = keras_kd.schemes.JointEnsemble([net("one"), net("two")])
    >>> model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> history = model.fit(np.ones((8, 4)), np.zeros(8), verbose=0)
    >>> sorted(history.history)
    ['loss', 'one_loss', 'one_weight', 'two_loss', 'two_weight']

    References: Jacobs, Jordan, Nowlan, Hinton, "Adaptive Mixtures of Local Experts", Neural
    Computation 1991 (members trained by the likelihood of their mixture; here the weights are the
    same for all inputs); Jeffares, Liu, Crabbe, van der Schaar, "Joint Training of Deep Ensembles
    Fails Due to Learner Collusion", NeurIPS 2023.
    """

    def __init__(
        self,
        models: Sequence[keras.Model],
        average: str = "probabilities",
        learn_weights: bool = True,
        *,
        activation: str = "softmax",
        from_logits: bool | Sequence[bool | None] | None = None,
        name: str = "joint_ensemble",
    ) -> None:
        models = peers.check_students(models, "models", _LOGS)
        if average not in AVERAGES:
            raise ValueError(f"`average` must be one of {AVERAGES}. Received: average={average!r}")
        if activation not in ("softmax", "sigmoid"):
            raise ValueError(
                f"`activation` must be 'softmax' or 'sigmoid'. Received: activation={activation!r}"
            )
        peers.check_rules([StudentRules(model) for model in models])
        # Autocast would hand the members other inputs than their own.
        super().__init__(name=name, dtype=peers.policy_of(models), autocast=False)
        self.members = models
        settings = {
            "average": average,
            "learn_weights": check_flag("learn_weights", learn_weights),
            "activation": activation,
            "from_logits": from_logits,
        }
        self._untracked = types.SimpleNamespace(settings=settings, step=StepValues())
        kinds = _kinds(models, from_logits, average, activation)
        self._as_logits = [AsLogits(kind, activation) for kind in kinds]
        self._average = JointAverage(
            len(models),
            learn_weights=settings["learn_weights"],
            average=average,
            activation=activation,
            from_logits=[None if kind is None else True for kind in kinds],
            name="average",
        )
        self._logs = {
            model.name: [self.add_log(f"{model.name}_{log}") for log in _LOGS] for model in models
        }
        self.join_inputs({model.name: model for model in models})

    @property
    def member_weights(self) -> list[float]:
        """The weight of each member, of a sum of 1."""
        if self._average.vector is None:
            return list(self._average.member_weights)
        powers = np.exp(ops.convert_to_numpy(self._average.vector).astype("float64"))
        return (powers / powers.sum()).tolist()

    @property
    def preprocessed_models(self) -> list[keras.Model]:
        """The members."""
        return self.members

    def call(self, inputs: Any, training: bool | None = None) -> Tensor:
        """Returns the answer, logits."""
        if training and self._average.average == "vote" and not self._untracked.step.is_open:
            raise ValueError(
                "A vote has no gradient, so that only this model's own `fit` trains its members: "
                "as a student of a Distiller take average='probabilities' or 'logits'. Received: "
                "average='vote', training=True"
            )
        given = [
            as_logits(model(own_inputs(inputs, model), training=training))
            for model, as_logits in zip(self.members, self._as_logits, strict=True)
        ]
        names = [model.name for model in self.members]
        self._untracked.step.keep(dict(zip(names, given, strict=True)))
        return self._average(given)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Tensor | None = None,
        training: bool = True,
    ) -> Tensor:
        """Returns the loss of the answer on labels, of votes that of each member too."""
        if y is None:
            raise ValueError(
                "The members learn from labels: give `y`. Without labels a keras_kd.Distiller("
                "ensemble, teacher, alpha=0) trains them. Received: y=None"
            )
        loss = as_term(
            super().compute_loss(x, y, y_pred, changeable(sample_weight), training=training)
        )
        # Keras builds a model symbolically outside a step: then nothing was kept.
        given = self._untracked.step.kept
        own = self._own_losses(x, y, given, sample_weight)
        for name, value in own.items():
            self.log(self._logs[name][0], value, given[name])
        for (_, tracker), (weight, _) in zip(
            self._logs.values(), self._average.shares(), strict=True
        ):
            tracker.update_state(weight)
        return loss + sum_of(own.values()) if self._average.average == "vote" else loss

    def train_step(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' training step, which keeps what each member says."""
        with self._untracked.step:
            return super().train_step(*args, **kwargs)

    def test_step(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' test step, which keeps what each member says."""
        with self._untracked.step:
            return super().test_step(*args, **kwargs)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Keras' `compile`; the loss must take logits."""
        given = inspect.signature(keras.Model.compile).bind(self, *args, **kwargs).arguments
        losses = keras.tree.flatten(given.get("loss"))
        if self._average.gives_logits and any(_takes_logits(loss) is False for loss in losses):
            raise ValueError(
                "A JointEnsemble gives logits, and this loss would take them for probabilities: "
                "compile with a loss of from_logits=True, such as keras.losses."
                "SparseCategoricalCrossentropy(from_logits=True). Received: "
                f"loss={given.get('loss')!r}"
            )
        super().compile(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        check_unshared(self.members)
        return {
            **uncompiled_configs({"models": list(self.members)}),
            "name": self.name,
            **self._untracked.settings,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        """Makes the model that `get_config` described."""
        return cls(**with_parts(config, ["models"], custom_objects))

    def _own_losses(self, x, y, given, sample_weight):
        """Returns each member's loss on labels, by name."""
        regularisation = sum_of(self.losses) * as_term(replica_share())
        own = {}
        for name, logits in given.items():
            weights = changeable(sample_weight)
            loss = keras.Model.compute_loss(self, x, y, logits, weights, training=False)
            own[name] = as_term(loss) - regularisation
        return own


def _kinds(models, from_logits, average, activation):
    """Returns for each member whether its output is logits, checked to fit each other."""
    specs = [inspect_model(model, input_spec_among(model, *models), {}) for model in models]
    for model, spec in zip(models, specs, strict=True):
        check_one_output(f"'{model.name}'", spec)
    shapes = {m.name: tuple(spec.outputs.shape) for m, spec in zip(models, specs, strict=True)}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"The members must give outputs of one shape. Received: {shapes}")
    needed = average != "logits"
    kinds = kinds_of(models, specs, from_logits, needed=needed, whose="JointEnsemble")
    check_activation(activation, average, models, specs, from_logits)
    return [kind for (kind,) in kinds]


def _takes_logits(loss):
    """Returns whether a loss takes logits, or None of one that does not ask."""
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    if not isinstance(loss, keras.losses.Loss) and callable(loss):
        asked = inspect.signature(loss).parameters.get("from_logits")
        return None if asked is None else asked.default
    return getattr(loss, "from_logits", None)
