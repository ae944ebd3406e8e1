"""Running an export beside its student."""

from collections.abc import Iterable

import keras
import numpy as np

from keras_kd.export.comparison import OutputComparison
from keras_kd.export.export_format import Runtime
from keras_kd.export.export_mismatch_error import ExportMismatchError
from keras_kd.export.student_inputs import StudentInputs


class Verification:
    """What became of running both on the same batches.

    Args:
        student: The caller's student.
        inputs: Its inputs by name.
        runtime: The loaded export.
        batches: Batches `(x, y, sample_weight)` as the student takes them.

    Attributes:
        outputs: One `OutputComparison` for each of the student's outputs.
        examples: How many examples were run.
        first_example: The first one, by input name, as a batch of 1.

    Raises:
        ExportMismatchError: If the export does not run, or outputs are missing or of another
            shape; or if the student gives NaN or infinity where its inputs are finite. (Minus
            infinity, what masked classes have, is a number.)
    """

    def __init__(
        self,
        student: keras.Model,
        inputs: StudentInputs,
        runtime: Runtime,
        batches: Iterable[tuple],
    ):
        self.outputs: dict[str, OutputComparison] = {}
        self.examples = 0
        self.first_example = None
        for x, y, _ in batches:
            named = inputs.named(x)
            if self.first_example is None:
                self.first_example = {name: array[:1] for name, array in named.items()}
            values = by_name(student(x, training=False))
            _check_numbers(named, values, self.examples)
            found = self._run(runtime, named)
            self._check_shapes(values, found)
            labels = _labels_by_output(y, list(values))
            for name, value in values.items():
                output = self.outputs.setdefault(name, OutputComparison(name))
                output.update(value, found[name], labels.get(name))
            self.examples += len(next(iter(named.values())))

    @staticmethod
    def _run(runtime, named):
        try:
            return _outputs(runtime, named)
        except Exception as error:
            shapes = {name: array.shape for name, array in named.items()}
            raise ExportMismatchError(
                "The export was written but does not run in its own runtime: "
                f"{str(error)[:1000]} [Received: inputs of shapes {shapes}]"
            ) from error

    @staticmethod
    def _check_shapes(expected, found):
        wanted = {name: value.shape for name, value in expected.items()}
        got = {name: value.shape for name, value in found.items()}
        if wanted != got:
            raise ExportMismatchError(
                "The export's outputs are not the student's. Expected, by name: "
                f"{wanted}. Received: {got}"
            )

    def metric(self) -> tuple[str | None, float | None, float | None]:
        """Name of the metric, the student's value, the export's; of the first labelled output."""
        for output in self.outputs.values():
            if output.metric is not None:
                alone = len(self.outputs) == 1
                name = output.metric if alone else f"{output.name} {output.metric}"
                return (name, *output.metric_values)
        return None, None, None


def by_name(outputs) -> dict[str, np.ndarray]:
    """Names outputs as SavedModel signatures do: a dict's keys, else `output_0`, `output_1`, ..."""
    if not isinstance(outputs, dict):
        leaves = keras.tree.flatten(outputs)
        return {f"output_{index}": _to_numpy(leaf) for index, leaf in enumerate(leaves)}
    named = {}
    for key, value in outputs.items():
        leaves = keras.tree.flatten(value)
        for index, leaf in enumerate(leaves):
            named[key if len(leaves) == 1 else f"{key}_{index}"] = _to_numpy(leaf)
    return named


def _check_numbers(named, values, position):
    """Raises if the student answers what is no number to inputs that are."""
    if not all(_are_finite(array) for array in named.values()):
        return
    for name, value in values.items():
        wrong = np.isnan(value) | (value == np.inf) if value.dtype.kind == "f" else np.array(False)
        if wrong.any():
            row = int(np.argmax(wrong.reshape(len(value), -1).any(axis=1)))
            raise ExportMismatchError(
                "The student gives NaN or infinity where its inputs are finite, and nothing was "
                "written: its training diverged, or a value is too large for its precision. "
                f"Received: output {name!r} of example {position + row}"
            )


def _are_finite(array):
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _outputs(runtime, named):
    if runtime.batch_size is None:
        return by_name(runtime.run(named))
    examples = len(next(iter(named.values())))
    parts = [
        by_name(runtime.run({name: array[index : index + 1] for name, array in named.items()}))
        for index in range(examples)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _labels_by_output(y, names):
    if isinstance(y, dict):
        return y
    leaves = [] if y is None else keras.tree.flatten(y)
    return dict(zip(names, leaves, strict=True)) if len(leaves) == len(names) else {}


def _to_numpy(value):
    value = keras.ops.convert_to_numpy(value) if not isinstance(value, np.ndarray) else value
    return value.astype("float32") if value.dtype.name in ("bfloat16", "float16") else value
