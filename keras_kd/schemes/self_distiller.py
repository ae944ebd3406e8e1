"""A model whose deepest classifier teaches classifiers inside it."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import keras
from keras import ops

from keras_kd.checks import check_fraction, check_number, check_temperature
from keras_kd.distiller.loss_sum import as_term, sum_of
from keras_kd.distiller.output_term import OutputTerm
from keras_kd.distiller.student_rules import StudentRules
from keras_kd.features.model_spec import input_spec_among, inspect_model
from keras_kd.features.nested_config import uncompiled_config, with_parts
from keras_kd.features.output_kind import is_logits
from keras_kd.features.preprocessing import check_has_none
from keras_kd.features.recording import Recording, watch
from keras_kd.features.tap import Tap
from keras_kd.losses import DistillationLoss, KDLoss, RegressionLoss
from keras_kd.losses.response_loss import ResponseLoss
from keras_kd.schemes import peers
from keras_kd.schemes.early_exit import EarlyExit
from keras_kd.schemes.exit_heads import make_heads, pooling
from keras_kd.schemes.exits import DEEPEST, find_exits
from keras_kd.schemes.joint_model import JointModel
from keras_kd.schemes.step_values import StepValues
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class SelfDistiller(JointModel):
    """Trains a model whose deepest classifier teaches classifiers that are grown inside it.

    ```
    loss = L_C + sum_i ( alpha * L_i + (1 - alpha) * T^2 KL(p_C || p_i)
                         + feature_weight * |h_i - h_C|^2 ) + regularisation
    ```

    At each exit i a head reads a layer of the model. L is the loss of `compile` on the labels, p
    is softmax(z / T), h the vector that a classifier reads (of a map or sequence its mean over the
    positions), C the model's own classifier, which learns from the labels alone. No gradient flows
    to what teaches. Calls and `predict` give `{exit: output}`, the model's own under `"deepest"`,
    and `fit` and `evaluate` log every loss and metric of every exit.

    Afterwards `model` is what it was, trained; the heads stay here. `early_exit` runs as much of
    the model as an example needs.

    Args:
        model: The built `keras.Model` to train, of one output.
        exits: Names of layers, or `features.Tap`s, whose outputs the heads read, the shallowest
            first.
        temperature: T, above 0. Defaults to 3.
        alpha: Weight of the labels at the exits, from 0 to 1, as in the Distiller; the paper's is
            1 - alpha. Defaults to 0.9.
        feature_weight: Weight of the hint, at least 0. The hint is summed over the vector and
            averaged over the examples. Defaults to 1e-4.
        head: None for a bottleneck, pooling and a Dense layer, or a function
            `head(exit_name, feature) -> (hidden, scores)` from a `keras.Input` to two symbolic
            tensors, h_i `(B, D)` and the output.
        feature: Layer name or `Tap` of h_C, before pooling. Defaults to what goes into the last
            Dense or convolutional layer.
        kd_loss: The `losses.DistillationLoss` on outputs that takes KL's place, such as
            `BinaryKDLoss()` for multi-label models.
        name: The model's name.

    Attributes:
        model: The model, trained in place.
        heads: The heads by exit, models that give `{"hidden", "scores"}`.
        temperature, alpha, feature_weight: Float32 variables to `assign` to, which a running step
            follows.

    Raises:
        TypeError, ValueError: If an argument is wrong, an exit is not there, does not come before
            the deepest feature, or a head gives other shapes.

    Example:

    >>> import keras, keras_kd, numpy as np
    >>> from keras_kd.models import mlp
    >>> model = mlp((4,), 3, hidden=(8, 8))
    >>> distiller = keras_kd.schemes.SelfDistiller(model, exits=["hidden1"])
    >>> distiller.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> history = distiller.fit(np.ones((8, 4)), np.zeros(8), verbose=0)
    >>> sorted(history.history)
    ['deepest_loss', 'hidden1_feature_loss', 'hidden1_kd_loss', 'hidden1_loss', 'loss']

    Reference: Zhang et al., "Be Your Own Teacher: Improve the Performance of Convolutional Neural
    Networks via Self Distillation", ICCV 2019. The paper gives no hyper-parameters: the defaults
    are those of luanyunteng's public code (whose 1e-6 weighs the sum over a batch of 128, and whose
    deepest classifier is weighed by 1 - alpha, too, which the paper says it is not). It compares
    vectors only where one of the two is positive, and its heads widen by convolutions.
    """

    def __init__(
        self,
        model: keras.Model,
        exits: Sequence[str | Tap],
        *,
        temperature: float = 3.0,
        alpha: float = 0.9,
        feature_weight: float = 1e-4,
        head: Callable[[str, Tensor], tuple[Tensor, Tensor]]
        | Mapping[str, keras.Model]
        | None = None,
        feature: str | Tap | None = None,
        # A loss holds no state that two models could share.
        kd_loss: DistillationLoss = KDLoss(),  # noqa: B008
        name: str = "self_distiller",
    ) -> None:
        peers.check_model(model)
        check_has_none(model, "SelfDistiller")
        peers.check_output_loss(kd_loss)
        found = find_exits(model, input_spec_among(model), exits, feature)
        super().__init__([*found.taps, DEEPEST], name=name, dtype=model.dtype_policy)
        self.model = model
        rules = StudentRules(model)
        peers.check_rules([rules])
        self._temperature = self.add_scalar("temperature", check_temperature(temperature))
        self._alpha = self.add_scalar("alpha", check_fraction(alpha))
        weight = check_number("feature_weight", feature_weight, least=0.0)
        self._feature_weight = self.add_scalar("feature_weight", weight)
        self._pooling = pooling(found.spec.taps[found.feature].shape)
        deepest = self._pooling.compute_output_shape(found.spec.taps[found.feature].shape)
        self.heads = make_heads(
            head,
            {name: found.spec.taps[tap] for name, tap in found.taps.items()},
            deepest[-1],
            found.spec.outputs,
            _activation(kd_loss, found.spec.kinds[0]),
        )
        self._term = OutputTerm(kd_loss, "kd_loss", (), (), index=0, output_names=[None])
        for exit_name in found.taps:
            self._check_head(exit_name, found.spec)
        # Where Keras does not look, since taps, rules and losses are no layers.
        self._untracked = types.SimpleNamespace(
            rules=rules, kd_loss=kd_loss, hint=RegressionLoss(), found=found, step=StepValues()
        )
        self._logs = {
            exit_name: [self.add_log(f"{exit_name}_{each}_loss") for each in ("kd", "feature")]
            for exit_name in found.taps
        }
        for tap, layer in found.layers.items():
            watch(layer, tap.side)
        self.built = True

    @property
    def preprocessed_models(self) -> list[keras.Model]:
        """The model."""
        return [self.model]

    @property
    def temperature(self) -> keras.Variable:
        """What softens the distributions."""
        return self._temperature

    @property
    def alpha(self) -> keras.Variable:
        """The weight of the labels at the exits."""
        return self._alpha

    @property
    def feature_weight(self) -> keras.Variable:
        """The weight of the hint."""
        return self._feature_weight

    @property
    def term_weights(self) -> Mapping[str, keras.Variable]:
        """`feature_weight`, under the name `"feature_loss"`."""
        return {"feature_loss": self._feature_weight}

    def call(self, inputs: Any, training: bool | None = None) -> dict[str, Tensor]:
        """Returns every exit's output by its name, and the model's own."""
        found = self._untracked.found
        with Recording() as recording:
            output = self.model(inputs, training=training)
        values = {tap: recording.value(layer, tap) for tap, layer in found.layers.items()}
        given = {
            name: self.heads[name](values[tap], training=training)
            for name, tap in found.taps.items()
        }
        hidden = {name: each["hidden"] for name, each in given.items()}
        self._untracked.step.keep({**hidden, DEEPEST: self._pooling(values[found.feature])})
        return {**{name: each["scores"] for name, each in given.items()}, DEEPEST: output}

    def label_weights(self, given: Any) -> dict[str, Any]:
        """Returns alpha for the exits and 1 for the model's own classifier."""
        if given is not None:
            raise ValueError(
                f"`alpha` weighs the exits' losses on labels. Received: loss_weights={given!r}"
            )
        return {name: 1.0 if name == DEEPEST else self.alpha for name in self.output_names}

    def taught_loss(
        self, y: Any, y_pred: dict[str, Tensor], sample_weight: Tensor | None, training: bool
    ) -> Tensor:
        """Returns what the deepest classifier teaches the exits, by outputs and by features."""
        context = {"labels": y, "temperature": self.temperature, "training": training}
        # Keras builds a model symbolically outside a step: then no features were kept.
        hidden = self._untracked.step.kept
        taught = []
        for name, (kd_log, feature_log) in self._logs.items():
            output, deepest = y_pred[name], y_pred[DEEPEST]
            kd = as_term(self._term.distance(output, deepest, sample_weight, **context))
            self.log(kd_log, kd, output)
            taught.append((1.0 - as_term(self.alpha)) * kd)
            if hidden:
                hint = self._untracked.hint(hidden[DEEPEST], hidden[name], sample_weight)
                self.log(feature_log, as_term(hint), output)
                taught.append(as_term(self.feature_weight) * as_term(hint))
        return sum_of(taught)

    def train_step(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' training step, which keeps what the heads are compared by."""
        with self._untracked.step:
            return super().train_step(*args, **kwargs)

    def test_step(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' test step, which keeps what the heads are compared by."""
        with self._untracked.step:
            return super().test_step(*args, **kwargs)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Keras' `compile`; a model without one of its own can be evaluated afterwards.

        A loss, and a list of metrics, are for every exit; a dict by the exits' names and
        `"deepest"` gives each its own.
        """
        super().compile(*args, **kwargs)
        self.compile_learner(self._untracked.rules, DEEPEST)

    def early_exit(self, threshold: float) -> EarlyExit:
        """Returns what runs the model only as far as an example needs.

        Args:
            threshold: An example leaves at the first exit whose largest probability is at least
                this. At 0 all leave at the first; above 1 none before the model's own output.

        Returns:
            An `EarlyExit`, of the weights that train here: it follows them.

        Raises:
            ValueError: If the threshold is below 0, the model is not Functional or Sequential,
                other paths lead around an exit, or its outputs are not one distribution an example.
        """
        found, loss = self._untracked.found, self._untracked.kd_loss
        if getattr(loss, "activation", None) != "softmax" or len(found.spec.outputs.shape) != 2:
            raise ValueError(
                "Examples leave by the largest probability of one softmax, (B, C). Received: "
                f"outputs of shape {tuple(found.spec.outputs.shape)}, taught by "
                f"{type(loss).__name__}"
            )
        from_logits = _gives_logits(loss, found.spec.kinds[0]) is not False
        return EarlyExit(self.model, found.taps, self.heads, threshold, from_logits=from_logits)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, the numbers as they are now."""
        serialize = keras.saving.serialize_keras_object
        found = self._untracked.found
        numbers = ("temperature", "alpha", "feature_weight")
        return {
            "name": self.name,
            "model": uncompiled_config(self.model),
            "exits": [serialize(tap) for tap in found.taps.values()],
            **{name: float(ops.convert_to_numpy(getattr(self, name))) for name in numbers},
            "head": {name: uncompiled_config(head) for name, head in self.heads.items()},
            "feature": serialize(found.feature),
            "kd_loss": serialize(self._untracked.kd_loss),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        """Makes the model that `get_config` described."""
        parts = ("model", "exits", "head", "feature", "kd_loss")
        return cls(**with_parts(config, parts, custom_objects))

    def _check_head(self, exit_name, spec):
        """Raises if a head's scores cannot be compared with the model's output."""
        head = self.heads[exit_name]
        its = inspect_model(head, head.input, {})
        order = sorted(its.outputs).index("scores")  # as a dict is flattened
        kind, axis = its.kinds[order], its.class_axes[order]
        if None not in (kind, spec.kinds[0]) and kind != spec.kinds[0]:
            raise ValueError(
                "A head must give scores of the model's kind, since one loss is for all. Received: "
                f"{kind} at exit {exit_name!r}, {spec.kinds[0]} from the model"
            )
        mine, others = (kind, axis), (spec.kinds[0], spec.class_axes[0])
        self._term.check(its.outputs["scores"], spec.outputs, mine, others)


def _activation(loss, kind):
    """Returns what a head ends in to be of the model's kind."""
    if kind in ("softmax", "sigmoid"):
        return kind
    is_probability = isinstance(loss, ResponseLoss) and _gives_logits(loss, kind) is False
    return loss.activation if is_probability else None


def _gives_logits(loss, kind):
    """Whether the model gives logits, by what the loss declares or else what was found."""
    declared = getattr(loss, "student_from_logits", None)
    return is_logits(kind) if declared is None else declared
