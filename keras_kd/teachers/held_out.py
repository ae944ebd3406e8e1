"""Examples that no member of a team was trained on."""

import keras
import numpy as np

from keras_kd.checks import check_whole_number
from keras_kd.data.batches import batches
from keras_kd.features.own_inputs import own_inputs
from keras_kd.features.string_inputs import as_arrays
from keras_kd.teachers.known_examples import KnownExamples

_BATCH = 256
# What data with a teacher's answers, or with each example's number, have beside "inputs".
_BESIDE = {"index", "teacher_inputs", "teacher_outputs", "teacher_features", "teacher_masks"}


def is_data_set(x) -> bool:
    """Whether something is a `tf.data.Dataset` or a `PyDataset`, and no arrays."""
    return hasattr(x, "element_spec") or isinstance(x, keras.utils.PyDataset)


def held_out_batches(x, y, trained_on, model):
    """Yields `(x, y, sample_weight)` in batches of arrays, `x` as the model takes it.

    Args:
        x, y: Arrays, or a data set of both and y=None.
        trained_on: What the members were trained on, or None where that is not at hand.
        model: The members as one model.

    Raises:
        ValueError: If there are no labels, an example is among those that the members know, or
            that cannot be told.
    """
    known, names = None, [tensor.name for tensor in model.inputs]
    seen, leaked = 0, 0
    for given, labels, weights in batches(as_arrays(x if y is None else (x, y)), _BATCH):
        if labels is None or keras.tree.is_nested(labels):
            raise ValueError(
                "The final model is fitted on labels, one array of them: give `y`, or a data set "
                f"of (x, y). Received: y of type {type(labels).__name__}"
            )
        inputs = own_inputs(_bare(given, names), model)
        if trained_on is not None:
            if known is None:
                known = KnownExamples(_inputs_of(trained_on, names), inputs, names)
            found = known.has(inputs)
            seen, leaked = seen + len(found), leaked + sum(found)
        if not leaked:
            yield inputs, labels, weights
    if leaked:
        raise ValueError(
            "The final model would be fitted on examples that the members were trained on, where "
            "they are better than elsewhere, and would trust them too much: give examples that no "
            f"member has seen, or take Stacked.cross_fitted. Received: {leaked} of {seen} examples "
            "of `x` are in `trained_on`"
        )


def _inputs_of(trained_on, names):
    is_whole = is_data_set(trained_on) or isinstance(trained_on, tuple)
    data = as_arrays(trained_on if is_whole else (trained_on,))
    return (_bare(x, names) for x, _, _ in batches(data, _BATCH))


def _bare(x, names):
    """Returns a batch's inputs without what data for a Distiller carry beside them."""
    carries = isinstance(x, dict) and "inputs" in x and set(x) - {"inputs"} <= _BESIDE
    return x["inputs"] if carries and not set(x) <= set(names) else x


def folds_of(y, folds, seed):
    """Returns labels `(N,)`, and for each example its fold, each with its share of the classes.

    Raises:
        TypeError, ValueError: If the labels are no class numbers, or there are too few of them.
    """
    folds = check_whole_number("folds", folds, least=2)
    labels = class_numbers(y)
    if len(labels) < folds:
        raise ValueError(
            f"There must be at least one example for each of {folds} folds. Received: "
            f"{len(labels)} examples"
        )
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    fold = np.empty(len(labels), "int64")
    fold[order] = np.arange(len(labels)) % folds
    return labels, fold


def class_numbers(y):
    """Returns labels `(N,)` of `(N,)` or `(N, 1)`, or says that they are no class numbers."""
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind in "OSU":
        raise ValueError(
            "The labels must be class numbers (N,): np.unique(y, return_inverse=True)[1] numbers "
            f"names. Received: y of dtype {labels.dtype}"
        )
    if labels.ndim != 1 or not (labels == np.floor(labels)).all():
        raise ValueError(
            "The labels must be class numbers (N,), one an example; take the argmax of one-hot "
            f"rows. Received: y of shape {labels.shape} and dtype {labels.dtype}"
        )
    return labels.astype("int64")
