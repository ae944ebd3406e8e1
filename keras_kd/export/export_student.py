"""From a trained student to a file that was run and compared."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
from typing import Any

import keras

from keras_kd.aside import aside, may_be_written
from keras_kd.checks import local_path
from keras_kd.data.batches import batches
from keras_kd.evaluation.latency import measure_latency
from keras_kd.export.argument_checks import check_arguments, check_free, check_strings, taken
from keras_kd.export.export_mismatch_error import ExportMismatchError
from keras_kd.export.export_result import ExportResult
from keras_kd.export.float32_clone import float32_clone, is_float32
from keras_kd.export.formats import find_format
from keras_kd.export.quiet import quiet
from keras_kd.export.student_inputs import StudentInputs
from keras_kd.export.tolerance import EIGHT_BITS, FLOAT16, FLOAT32
from keras_kd.export.verification import Verification, by_name
from keras_kd.features.nested_layers import all_layers
from keras_kd.features.preprocessing import preprocessed, without_preprocessor
from keras_kd.features.string_inputs import as_arrays
from keras_kd.runtimes.exported_file import file_size

_SAMPLES = 8
_LENGTH = 32


def export_student(
    student: keras.Model,
    path: str | os.PathLike,
    *,
    format: str | None = None,
    quantize: str | None = None,
    calibration_data: Any = None,
    verify_data: Any = None,
) -> ExportResult:
    """Exports a student, runs the export in its own runtime, and compares it with the student.

    The export is written aside and moved to `path` only once its outputs agree with the student's,
    so that a file at `path` is a checked one. One line with the numbers is printed.

    Tolerances, relative to the range of each output: 0.001 for any value of a float32 export, 0.01
    (root mean square) for float16, 0.05 (root mean square) or an agreement of 0.9 for `"dynamic"`
    and `"int8"`. A student in float16 or bfloat16 rounds on its own, and is given the float16 or
    the last of these at least.

    Students in lower precision are written in float32, except as `.keras`, which keeps the student
    as it is. The student itself is never changed.

    Args:
        student: A built Keras model; of a Distiller, `distiller.student`. Inputs may be nested;
            outputs are a tensor, a list or tuple of tensors, or a dict of tensors.
        path: Where to write; must not exist. The suffix chooses the format: none for a
            SavedModel folder, `.tflite`, `.keras`, `.onnx`.
        format: `"saved_model"`, `"tflite"`, `"keras"` or `"onnx"`, against the suffix.
        quantize: For `.tflite`: `"float16"` (weights in half precision, half the size),
            `"dynamic"` (int8 weights, a quarter of the size) or `"int8"` (weights and activations
            in int8; inputs and outputs stay float32).
        calibration_data: For `"int8"`: real inputs, of which the first 500 examples set the
            ranges of the activations. A batched `tf.data.Dataset`, a `PyDataset`, or arrays `x`
            or `(x, y)`; raw data of a KerasHub task go through its preprocessor.
        verify_data: Inputs for the comparison, of the same kinds; with labels the metric is
            compared, too. If `None`, `calibration_data` is taken, else 16 random inputs.

    Returns:
        An `ExportResult` with the numbers.

    Raises:
        ExportMismatchError: If the export disagrees with the student; nothing stays at `path`.
        ValueError: If an argument is wrong or the student cannot be converted.
        ImportError: If the format needs a package that is not installed.

    Example:

    >>> import tempfile
    >>> student = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
    >>> path = tempfile.mkdtemp() + "/student.keras"
    >>> result = export_student(student, path)  # doctest: +ELLIPSIS
    /...student.keras (keras): ..., agreement 1.0000, ... examples of random inputs
    >>> result.agreement
    1.0
    """
    target = local_path("path", path)
    exporter = find_format(target, format)
    check_arguments(student, target, exporter, quantize, calibration_data)
    exporter.check_available()

    data, verified_on = verify_data, "verify_data"
    if data is None:
        data, verified_on = calibration_data, "calibration_data"
    few = itertools.islice(_batches(student, data), _SAMPLES) if data is not None else ()
    samples = [x for x, _, _ in few]
    model = without_preprocessor(student) if exporter.float32_only else student
    if exporter.float32_only and not is_float32(student):
        model = float32_clone(model)
    inputs = StudentInputs(model, samples)
    check_strings(inputs, exporter)
    if data is None:
        examples = inputs.random_examples(length=_length(student))
        data, verified_on = [(examples, None, None)], "random inputs"
    else:
        data = _batches(student, data)

    with contextlib.ExitStack() as stack:
        with may_be_written(target):
            folder = stack.enter_context(aside(target.parent))
        written = folder / f"student{exporter.suffix}"
        runtime = _write_and_load(
            exporter,
            model,
            inputs,
            written,
            quantize=quantize,
            examples=functools.partial(_single_examples, student, inputs, calibration_data),
        )
        verification = Verification(student, inputs, runtime, data)
        metric, student_metric, export_metric = verification.metric()
        result = ExportResult(
            path=target,
            format=exporter.name,
            quantize=quantize,
            size_bytes=file_size(written),
            max_difference=max(output.largest for output in verification.outputs.values()),
            agreement=min(output.agreement for output in verification.outputs.values()),
            metric=metric,
            student_metric=student_metric,
            export_metric=export_metric,
            latency=measure_latency(lambda: by_name(runtime.run(verification.first_example))),
            examples=verification.examples,
            verified_on=verified_on,
            batch_size=runtime.batch_size,
        )
        _check_tolerance(verification, exporter, student, result)
        with may_be_written(target):
            _move(written, target)
    print(result)
    return result


def _move(written, target):
    """Moves an export to a name that nobody has taken meanwhile."""
    check_free(target)
    if written.is_file():
        try:
            os.link(written, target)
            return
        except FileExistsError:
            raise taken(target) from None
        except OSError:  # a file system without links: the name is taken first
            target.open("xb").close()
    os.replace(written, target)  # a folder is never moved onto anything but an empty one


def _write_and_load(exporter, model, inputs, path, *, quantize, examples):
    try:
        with quiet():
            exporter.write(model, inputs, path, quantize, examples)
            return exporter.load(path, model, inputs)
    except Exception as error:
        raise ValueError(
            f"The student cannot be exported in format {exporter.name!r}: "
            f"{str(error)[:1000]} [Received: student={model.name!r}, quantize={quantize!r}]"
        ) from error


def _batches(student, data):
    """Walks data as the student is called on them, by its preprocessor if they are raw."""
    for x, y, sample_weight in batches(as_arrays(data)):
        yield preprocessed(student, x), y, sample_weight


def _length(student):
    """Returns a length that a student takes: its layers with positions have a largest one."""
    layers = all_layers(student)
    known = [getattr(layer, "sequence_length", None) for layer in layers]
    return min([_LENGTH, *(length for length in known if isinstance(length, int))])


def _single_examples(student, inputs, data):
    """Walks the calibration data one example at a time, by input name."""
    for x, _, _ in _batches(student, data):
        named = inputs.named(x)
        for index in range(len(next(iter(named.values())))):
            yield {name: array[index : index + 1] for name, array in named.items()}


def _check_tolerance(verification, exporter, student, result):
    tolerance = exporter.tolerance(result.quantize).or_looser(_rounding(student))
    problems = [
        f"{output.name!r}: {problem}"
        for output in verification.outputs.values()
        if (problem := tolerance.problem(output))
    ]
    if problems:
        raise ExportMismatchError(
            "The export disagrees with the student, and nothing was written. By output: "
            f"{'; '.join(problems)}. Checked on {result.examples} examples of "
            f"{result.verified_on}. Received: format={exporter.name!r}, "
            f"quantize={result.quantize!r}",
            result,
        )


def _rounding(student):
    """What a student's own precision costs."""
    precisions = {layer.compute_dtype for layer in all_layers(student)}
    if "bfloat16" in precisions:
        return EIGHT_BITS
    return FLOAT16 if "float16" in precisions else FLOAT32
