"""Any number of models on the same examples."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from keras_kd.evaluation.classification import (
    class_labels,
    classification_scores,
    log_probabilities,
)
from keras_kd.evaluation.comparison import Comparison
from keras_kd.evaluation.file_cost import measure_file_cost
from keras_kd.evaluation.find_task import find_task
from keras_kd.evaluation.kinds import differences
from keras_kd.evaluation.model_cost import measure_cost
from keras_kd.evaluation.multilabel import label_logits, multilabel_scores
from keras_kd.evaluation.opened import Comparable, all_opened, opened
from keras_kd.evaluation.predictions import predict_all
from keras_kd.evaluation.regression import regression_scores
from keras_kd.features.own_inputs import own_inputs
from keras_kd.runtimes import ExportedFile

# For each task: what makes outputs comparable, and what scores them.
_TASKS = {
    "classification": (log_probabilities, classification_scores),
    "multilabel": (label_logits, multilabel_scores),
    "regression": (lambda outputs, name: outputs, regression_scores),
}


def compare(
    models: Mapping[str, Comparable | Sequence[Comparable]],
    data: Any,
    *,
    reference: Comparable | None = None,
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

    What was exported stands beside what it came from: a path of a `.tflite` or `.onnx` file or of
    a SavedModel's folder is run in its own runtime (LiteRT, ONNX Runtime, TensorFlow) and timed
    there, in columns of their own, since a call of Keras has a cost that no runtime knows. Inputs
    and outputs that a file keeps as integers with a scale are real numbers here (data of the file's
    own integer dtype go in as they are); several inputs go by their names; a file of a fixed batch
    size is called as often as it takes. Parameters and FLOPs of a file are not known.

    Args:
        models: By the names they shall have in the table: built Keras models with one output,
            paths of files (a `.keras` file is loaded as a Keras model, which Keras then runs),
            results of `export_student`, `TFLiteTeacher`s, or lists of at least two of these, all
            of one length.
        data: A batched `tf.data.Dataset`, a `keras.utils.PyDataset` or arrays `(x, y)`, with
            sample weights, which count in all figures of quality, or without. The outputs of all
            models are held in memory.
        reference: Name of one of the models, or another model (of a file the `pathlib.Path`), that
            agreement and KL divergence (for regression: the distance) refer to; typically the
            teacher.

    Returns:
        A `Comparison`; print it, or see its `rows`, one a model, and its `differences`.

    Raises:
        ValueError: If a model is unbuilt, has more than one output or gives NaN; if outputs of
            two models differ in shape, or fit the targets in no way; if labels are missing or
            out of range; if `data` yields nothing; if `reference` is not the name of a model; if
            a path is remote, ends in what names no format or holds no such file, or a file does
            not take the data.
        FileNotFoundError: If nothing is at a path.
        ImportError: If what runs a file is not installed.

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
    run, kinds = all_opened(models)
    name, others = _find_reference(run, reference)
    predictions = predict_all({**run, **others}, data)
    task = find_task(predictions.targets, predictions.outputs)
    comparable, score = _TASKS[task]
    targets, weights = predictions.targets, predictions.weights
    if task == "classification":
        targets = class_labels(targets)
    outputs = {key: comparable(output, key) for key, output in predictions.outputs.items()}
    costs = _costs(run, kinds, predictions.inputs)
    rows = [
        {"model": key, **score(targets, outputs[key], weights, outputs.get(name)), **costs[key]}
        for key in run
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
        first = first_of.get(name, name)
        if first in costs and _cost_alike(models[first], model):
            costs[name] = costs[first]
        elif isinstance(model, ExportedFile):
            costs[name] = measure_file_cost(model, inputs)
        else:
            costs[name] = measure_cost(model, own_inputs(inputs, model))
    return costs


def _cost_alike(one, other):
    if isinstance(one, ExportedFile) or isinstance(other, ExportedFile):
        return type(one) is type(other) and one.size_bytes == other.size_bytes
    return one.count_params() == other.count_params()


def _find_reference(models, reference):
    """The reference's name, and the models to run beside `models`."""
    if reference is None or (isinstance(reference, str) and reference in models):
        return reference, {}
    if isinstance(reference, str):
        nearest = difflib.get_close_matches(reference, list(models), n=1)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(
            "`reference` must be the name of one of the models, or a model (a file as a "
            f"`pathlib.Path`).{hint} Received: reference={reference!r}. Available: {list(models)}"
        )
    reference = opened("reference", reference)
    for name, model in models.items():
        if model is reference:
            return name, {}
    of = reference.path.name if isinstance(reference, ExportedFile) else reference.name
    name = f"{of} (reference)"
    return name, {name: reference}
