"""What every model says about the same examples."""

import dataclasses
from collections.abc import Iterator

import keras
import numpy as np

from keras_kd.data.batches import batches
from keras_kd.evaluation.answers import answers
from keras_kd.evaluation.find_task import find_task
from keras_kd.features.string_inputs import as_arrays
from keras_kd.runtimes import ExportedFile

_CHUNK = 2**22  # numbers; few chunks, because JAX compiles anew for each shape


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Targets and the outputs of all models, example for example.

    Attributes:
        inputs: The first batch of inputs, for what is measured on a few examples.
        targets: Array `(N, ...)`.
        weights: Array `(N,)` or `None`.
        outputs: For each model's name its float32 outputs, `(N, ...)`.
    """

    inputs: object
    targets: np.ndarray
    weights: np.ndarray | None
    outputs: dict[str, np.ndarray]


def predict_all(models: dict[str, keras.Model | ExportedFile], data) -> Predictions:
    """Runs all models over `data`, which is walked once.

    A data set that shuffles itself anew on each walk still gives every model the same examples.

    Args:
        models: Built models and opened files with one output each, by name.
        data: See `keras_kd.data.batches.batches`.

    Returns:
        The collected `Predictions`; they live in memory.

    Raises:
        ValueError: If `data` has no labels or yields nothing, or an output does not fit.
    """
    first_inputs, targets, weights = None, [], []
    outputs: dict[str, list[np.ndarray]] = {name: [] for name in models}
    for x, y, sample_weight in batches(as_arrays(data)):
        targets.append(_single_target(y))
        weights.append(sample_weight)
        for name, model in models.items():
            output = _single_output(name, model, answers(name, model, x))
            outputs[name].append(_checked(name, output, len(targets[-1])))
        if first_inputs is None:  # what cannot work is known now, not after a long walk
            first_inputs = x
            find_task(targets[0], {name: parts[0] for name, parts in outputs.items()})
    return Predictions(
        inputs=first_inputs,
        targets=np.concatenate(targets),
        weights=_joined_weights(weights),
        outputs={name: np.concatenate(parts) for name, parts in outputs.items()},
    )


def in_chunks(*arrays) -> Iterator[tuple]:
    """Cuts arrays of one length (or `None`) into chunks that metrics can be fed with."""
    given = [array for array in arrays if array is not None]
    size = max(1, _CHUNK // max(array[0].size for array in given))
    for start in range(0, len(given[0]), size):
        yield tuple(None if array is None else array[start : start + size] for array in arrays)


def _single_target(y):
    leaves = keras.tree.flatten(y)
    if not leaves or leaves[0] is None:
        raise ValueError(
            "`data` has no labels, and without them nothing can be scored: pass `(x, y)`, or a "
            f"data set of such pairs. Received: y={y}"
        )
    if len(leaves) > 1:
        raise ValueError(
            "`compare` scores models with one output, and one array of targets was expected. "
            f"Received: {len(leaves)} targets, {_names(y)}"
        )
    return leaves[0]


def _single_output(name, model, output):
    leaves = keras.tree.flatten(output)
    if len(leaves) == 1:
        return leaves[0]
    names = list(output) if isinstance(output, dict) else getattr(model, "output_names", None)
    example = names[0] if names else 0
    one = f"`keras.Model(model.input, model.output[{example!r}])`"
    way = "Export" if isinstance(model, ExportedFile) else "Pass"
    raise ValueError(
        f"`compare` scores models with one output. {way} one output as a model, for instance {one}."
        f" Received: model {name!r} with {len(leaves)} outputs, {names or _names(output)}"
    )


def _names(structure):
    return list(structure) if isinstance(structure, dict) else f"positions 0..{len(structure) - 1}"


def _checked(name, output, examples):
    output = np.asarray(output).astype("float32")
    if output.shape[:1] != (examples,):
        raise ValueError(
            f"One output for each of the {examples} examples of a batch was expected. "
            f"Received: outputs of shape {output.shape} from model {name!r}"
        )
    if not np.isfinite(output).all():
        broken = int((~np.isfinite(output)).reshape(examples, -1).any(axis=1).sum())
        raise ValueError(
            "Finite outputs were expected; NaN or infinity usually means that the training "
            f"diverged. Received: model {name!r} with {broken} such examples in a batch of "
            f"{examples}"
        )
    return output


def _joined_weights(weights):
    if weights[0] is None:
        return None
    leaves = [keras.tree.flatten(weight)[0] for weight in weights]
    if leaves[0].size != len(leaves[0]):
        raise ValueError(
            "One sample weight for each example was expected. "
            f"Received: sample_weight of shape {leaves[0].shape}"
        )
    joined = np.concatenate(leaves).reshape(-1).astype("float32")
    if not joined.sum() > 0:
        raise ValueError(
            f"Sample weights with a positive sum were expected. Received: sum={joined.sum()}"
        )
    return joined
