"""Any number of models on the same examples."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_kd.evaluation.classification import (
    class_labels,
    classification_scores,
    log_probabilities,
)
from keras_kd.evaluation.comparison import Comparison
from keras_kd.evaluation.find_task import find_task
from keras_kd.evaluation.kinds import by_name, differences
from keras_kd.evaluation.model_cost import measure_cost
from keras_kd.evaluation.multilabel import label_logits, multilabel_scores
from keras_kd.evaluation.predictions import predict_all
from keras_kd.evaluation.regression import regression_scores
from keras_kd.features.own_inputs import own_inputs

# For each task: what makes outputs comparable, and what scores them.
_TASKS = {
    "classification": (log_probabilities, classification_scores),
    "multilabel": (label_logits, multilabel_scores),
    "regression": (lambda outputs, name: outputs, regression_scores),
}


def compare(
    models: Mapping[str, keras.Model | Sequence[keras.Model]],
    data: Any,
    *,
    reference: keras.Model | str | None = None,
) -> Comparison:
    """Evaluates models side by side: quality, agreement with a reference, size and speed.

    `data` is walked once and every model sees the same examples. The task is found from targets
    and outputs:

    | outputs | targets | task |
    |---|---|---|
    | `(N, C)`, C >= 2 | whole numbers `(N,)`, `(N, 1)`, or rows that sum to 1 | classification |
    | `(N, C)`, C >= 2 | other rows of 0 and 1 | multi-label |
    | `(N,)` or `(N, 1)` | only 0 and 1 | classification, two classes |
    | any shape | other floats of the same shape | regression |

    Outputs may be logits or probabilities, each model as it likes. They are taken for
    probabilities if all of them, over the whole data, lie in [0, 1] and (where classes exclude
    one another) each row sums to 1 within 1e-2.

    Several models of one kind, the same recipe from several seeds, come as a list. The table then
    has means and standard deviations, and each list is held against those before it, seed by seed
    and example by example: `"BETTER"`, `"WORSE"` or `"NOT TOLD APART"` by the 95 % interval of the
    paired difference in accuracy (for regression in MAE), a bootstrap over seeds and examples.
    Speed and size are measured on the first of a list.

    Args:
        models: Built Keras models with one output, or lists of at least two, all of one length,
            by the names they shall have in the table.
        data: A batched `tf.data.Dataset`, a `keras.utils.PyDataset` or arrays `(x, y)`, with
            sample weights, which count in all figures of quality, or without. The outputs of all
            models are held in memory.
        reference: Name of one of the models, or another model, that agreement and KL divergence
            (for regression: the distance) refer to; typically the teacher.

    Returns:
        A `Comparison`; print it, or see its `rows`, one a model, and its `differences`.

    Raises:
        ValueError: If a model is unbuilt, has more than one output or gives NaN; if outputs of
            two models differ in shape, or fit the targets in no way; if labels are missing or
            out of range; if `data` yields nothing; if `reference` is not the name of a model.

    Example:
        >>> import keras, numpy as np, keras_kd.evaluation
        >>> x, y = np.random.rand(64, 8), np.random.randint(0, 3, 64)
        >>> small = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
        >>> large = keras.Sequential(
        ...     [keras.Input((8,)), keras.layers.Dense(64), keras.layers.Dense(3)]
        ... )
        >>> comparison = keras_kd.evaluation.compare(
        ...     {"student": small, "teacher": large}, (x, y), reference="teacher"
        ... )
        >>> [row["parameters"] for row in comparison.rows]
        [27, 771]
    """
    _check_dict(models)
    models, kinds = by_name(models)
    _check_models(models)
    name, others = _find_reference(models, reference)
    predictions = predict_all({**models, **others}, data)
    task = find_task(predictions.targets, predictions.outputs)
    comparable, score = _TASKS[task]
    targets, weights = predictions.targets, predictions.weights
    if task == "classification":
        targets = class_labels(targets)
    outputs = {key: comparable(output, key) for key, output in predictions.outputs.items()}
    costs = _costs(models, kinds, predictions.inputs)
    rows = [
        {"model": key, **score(targets, outputs[key], weights, outputs.get(name)), **costs[key]}
        for key in models
    ]
    found = differences(task, kinds, targets, outputs, weights)
    examples = len(targets)
    return Comparison(
        rows, task=task, reference=name, examples=examples, kinds=kinds, differences=found
    )


def _costs(models, kinds, inputs):
    """Returns what each model costs; those of one kind and size cost what the first does."""
    first_of = {name: names[0] for names in kinds.values() for name in names}
    costs: dict[str, dict] = {}
    for name, model in models.items():
        like = costs.get(first_of.get(name, name))
        if like is None or like["parameters"] != model.count_params():
            like = measure_cost(model, own_inputs(inputs, model))
        costs[name] = like
    return costs


def _check_dict(models):
    if not isinstance(models, dict) or not models:
        raise ValueError(
            "A dict of at least one model by name was expected, such as "
            f'`{{"student": student}}`. Received: models={models}'
        )


def _check_models(models):
    for name, model in models.items():
        if not isinstance(name, str):
            raise ValueError(f"Names of models are strings. Received: name={name!r}")
        _check_model(f"models[{name!r}]", model)


def _check_model(place, model):
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"A Keras model was expected. Received: {place}={model!r} (of type "
            f"{type(model).__name__})"
        )
    if not model.built:
        raise ValueError(
            "Built models were expected, and this one has no weights yet: call it on a batch, or "
            f"`build` it, first. Received: {place}={model.name!r} of type {type(model).__name__}"
        )


def _find_reference(models, reference):
    """The reference's name, and the models to run beside `models`."""
    if reference is None or (isinstance(reference, str) and reference in models):
        return reference, {}
    if isinstance(reference, str):
        nearest = difflib.get_close_matches(reference, list(models), n=1)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(
            f"`reference` must be the name of one of the models, or a model.{hint} "
            f"Received: reference={reference!r}. Available: {list(models)}"
        )
    _check_model("reference", reference)
    for name, model in models.items():
        if model is reference:
            return name, {}
    name = f"{reference.name} (reference)"
    return name, {name: reference}
