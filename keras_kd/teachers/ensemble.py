"""Several teachers as one."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any, Self

import keras
import numpy as np

from keras_kd.checks import check_number
from keras_kd.features.joined_inputs import JoinedInputsModel
from keras_kd.features.model_spec import input_spec_among, inspect_model
from keras_kd.features.nested_config import uncompiled_configs, with_parts
from keras_kd.features.own_inputs import own_inputs
from keras_kd.features.preprocessing import input_names
from keras_kd.features.shared_preprocessor import SharedPreprocessor, check_shared
from keras_kd.teachers.average import AVERAGES, Average
from keras_kd.teachers.members import check_activation, check_member, kinds_of


@keras.saving.register_keras_serializable(package="keras_kd")
class Ensemble(SharedPreprocessor, JoinedInputsModel):
    """Averages what several models answer, in one pass over the batch: a teacher like any other.

    ```
    "probabilities":  log sum_i w_i softmax(z_i)     logits whose softmax is the mean probability
    "logits":         sum_i w_i z_i                  logits (or values) averaged
    "vote":           sum_i w_i onehot(argmax z_i)   the share of the votes, probabilities
    ```

    Members may end in logits or in softmax (sigmoid), each on its own. The ensemble holds the very
    models that it is given and runs them in inference mode. KerasHub's tasks that were given one
    preprocessor make it a task of that preprocessor, which teaches on raw data as each of them
    does.

    Args:
        models: Built Keras models on the same inputs, with outputs of one structure and shape.
        weights: One number of at least 0 for each model, scaled to sum to 1. Defaults to equal
            weights.
        average: `"probabilities"` (the default), `"logits"` or `"vote"`.
        activation: `"softmax"` (the default) for one class an example, `"sigmoid"` for multi-label
            outputs and for one number of yes or no.
        from_logits: Whether the models return logits: True, False, or a list with one of them for
            each model. None (the default) finds out from their last layers.
        name: The model's name.

    Raises:
        TypeError, ValueError: If there is no model, one is not built, outputs differ in shape, the
            weights do not fit, it cannot be known what a model returns, its probabilities are of
            another activation, or tasks of images have preprocessors of their own.

    Example:

    >>> import keras, keras_kd, numpy as np
    >>> def net():
    ...     return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    >>> teacher = keras_kd.teachers.Ensemble([net(), net()], weights=[2.0, 1.0])
    >>> teacher(np.ones((5, 4))).shape
    TensorShape([5, 3])

    References: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015
    (arithmetic and geometric means of an ensemble's predictions); You et al., "Learning from
    Multiple Teacher Networks", KDD 2017 (votes).
    """

    def __init__(
        self,
        models: Sequence[keras.Model],
        *,
        weights: Sequence[float] | None = None,
        average: str = "probabilities",
        activation: str = "softmax",
        from_logits: bool | Sequence[bool | None] | None = None,
        name: str = "ensemble",
    ) -> None:
        models = _check_models(models)
        super().__init__(name=name, dtype=models[0].dtype_policy, autocast=False)
        self.models = models
        self.member_weights = _check_weights(weights, len(models))
        self._settings = {"average": average, "activation": activation, "from_logits": from_logits}
        if average not in AVERAGES:
            raise ValueError(f"`average` must be one of {AVERAGES}. Received: average={average!r}")
        if activation not in ("softmax", "sigmoid"):
            raise ValueError(
                f"`activation` must be 'softmax' or 'sigmoid'. Received: activation={activation!r}"
            )
        specs = [inspect_model(model, input_spec_among(model, *models), {}) for model in models]
        _check_outputs(models, [found.outputs for found in specs])
        kinds = kinds_of(
            models, specs, from_logits, needed=average == "probabilities", whose="Ensemble"
        )
        check_activation(activation, average, models, specs, from_logits)
        self.averages = [
            Average(
                self.member_weights,
                average=average,
                activation=activation,
                from_logits=[member[output] for member in kinds],
                name=f"average_{output}",
            )
            for output in range(len(kinds[0]))
        ]
        # Keras would turn a dict into one of its own, which JAX does not return.
        self._outputs = types.SimpleNamespace(structure=specs[0].outputs)
        self.join_inputs({f"models[{number}]": model for number, model in enumerate(models)})

    @property
    def preprocessed_models(self) -> Sequence[keras.Model]:
        """The members."""
        return self.models

    def call(self, inputs: Any) -> Any:
        """Returns the members' average, in the structure of one member's outputs."""
        given = [
            keras.tree.flatten(model(own_inputs(inputs, model), training=False))
            for model in self.models
        ]
        averages = [
            average(list(values))
            for average, values in zip(self.averages, zip(*given, strict=True), strict=True)
        ]
        return keras.tree.pack_sequence_as(self._outputs.structure, averages)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **uncompiled_configs({"models": list(self.models)}),
            "weights": self.member_weights,
            "name": self.name,
            **self._settings,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        """Makes the ensemble that `get_config` described."""
        return cls(**with_parts(config, ["models"], custom_objects))


def _check_models(models):
    if not isinstance(models, list | tuple) or not models:
        raise TypeError(
            f"`models` must be a list of at least one keras.Model. Received: models={models!r}"
        )
    for number, model in enumerate(models):
        check_member(f"models[{number}]", model)
    # Tasks of inputs by name can be called on what any preprocessor makes of a batch.
    if any(input_names(model) is None for model in models):
        check_shared({f"models[{at}]": model for at, model in enumerate(models)}, "Ensemble")
    return list(models)


def _check_weights(weights, count):
    weights = [1.0] * count if weights is None else weights
    if np.ndim(weights) != 1 or len(weights) != count:
        raise ValueError(
            f"`weights` must be one number for each of the {count} models. "
            f"Received: weights={weights}"
        )
    weights = [check_number("weights", weight, least=0.0) for weight in list(weights)]
    if not sum(weights):
        raise ValueError(f"`weights` must not all be 0. Received: weights={weights}")
    return [weight / sum(weights) for weight in weights]


def _check_outputs(models, outputs):
    shapes = [keras.tree.map_structure(lambda x: tuple(x.shape), each) for each in outputs]
    for model, shape in zip(models, shapes, strict=True):
        if shape != shapes[0]:
            raise ValueError(
                "The members must give outputs of one structure and shape. Received: "
                f"'{models[0].name}' gives {shapes[0]}, '{model.name}' gives {shape}"
            )
