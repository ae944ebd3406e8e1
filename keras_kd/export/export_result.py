"""What `export_student` returns."""

from __future__ import annotations

import dataclasses
import pathlib

from keras_kd.evaluation.latency import Latency


@dataclasses.dataclass(frozen=True)
class ExportResult:
    """A finished export and how it compares with its student; `str` gives it as one line.

    It is a path, too, of what was written: `keras_kd.compare({"int8": result}, data)`.

    Attributes:
        path: The file, or the folder of a SavedModel.
        format: `"saved_model"`, `"tflite"`, `"keras"` or `"onnx"`.
        quantize: `None`, `"float16"`, `"dynamic"` or `"int8"`.
        size_bytes: Size on disk; of a folder, all files in it.
        max_difference: Largest absolute difference of any output value.
        agreement: Where outputs are classes, the share of them on which both decide alike
            (argmax; a threshold for binary and multi-label outputs); for integer outputs the
            share of equal values; for all others the share of the student's variance that the
            export reproduces (R squared, at least 0). With several outputs, the smallest.
        metric: `"accuracy"`, `"mean_absolute_error"`, or `None` where there are no labels. With
            several outputs it is that of the first output with labels, and starts with its name.
        student_metric: The student's value.
        export_metric: The export's value.
        latency: Warm latency of one example in the export's own runtime, in milliseconds.
        examples: How many examples both were run on.
        verified_on: `"verify_data"`, `"calibration_data"`, or `"random inputs"`.
        batch_size: `None` if the export takes any batch, 1 if it takes one example at a time.

    Example:

    >>> import keras, keras_kd, tempfile
    >>> student = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
    >>> path = tempfile.mkdtemp() + "/student.keras"
    >>> result = keras_kd.export_student(student, path)  # doctest: +ELLIPSIS
    /...student.keras (keras): ..., agreement 1.0000, ... examples of random inputs
    >>> result.format, result.agreement, result.size_bytes > 1000
    ('keras', 1.0, True)
    """

    path: pathlib.Path
    format: str
    quantize: str | None
    size_bytes: int
    max_difference: float
    agreement: float
    metric: str | None
    student_metric: float | None
    export_metric: float | None
    latency: Latency
    examples: int
    verified_on: str
    batch_size: int | None = None

    @property
    def metric_change(self) -> float | None:
        """The export's metric minus the student's."""
        if self.export_metric is None or self.student_metric is None:
            return None
        return self.export_metric - self.student_metric

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        kind = self.format if self.quantize is None else f"{self.format} {self.quantize}"
        parts = [
            _size(self.size_bytes),
            f"largest difference {self.max_difference:.2g}",
            f"agreement {self.agreement:.4f}",
        ]
        if self.metric is not None:
            parts.append(
                f"{self.metric} {self.student_metric:.4f} -> {self.export_metric:.4f} "
                f"({self.metric_change:+.4f})"
            )
        parts.append(f"{self.latency.median:.3g} ms at batch 1")
        parts.append(f"checked on {self.examples} examples of {self.verified_on}")
        if self.batch_size is not None:
            parts.append(f"takes batches of {self.batch_size}")
        return f"{self.path} ({kind}): {', '.join(parts)}"


def _size(size):
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"
