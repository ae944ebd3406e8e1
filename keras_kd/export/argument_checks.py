"""What `export_student` refuses before it writes anything."""

import pathlib

import keras

from keras_kd.export.export_format import ExportFormat
from keras_kd.export.formats import FORMATS
from keras_kd.export.student_inputs import StudentInputs


def check_arguments(student, path, exporter: ExportFormat, quantize, calibration_data):
    """Raises a `ValueError` for the first argument of `export_student` that cannot work."""
    if hasattr(student, "student"):
        raise ValueError(
            "The student alone is exported: pass `distiller.student`. "
            f"Received: student={type(student).__name__}"
        )
    if not isinstance(student, keras.Model):
        raise ValueError(f"A keras.Model was expected. Received: student={student!r}")
    if not student.built:
        raise ValueError(
            "A built student was expected: call it on a batch, or give it a `keras.Input`. "
            f"Received: student={student.name!r}, which has no weights yet"
        )
    if quantize is not None and quantize not in exporter.quantizations:
        possible = {known.name: list(known.quantizations) for known in FORMATS}
        raise ValueError(
            f"Format {exporter.name!r} cannot be quantised so. Possible, by format: {possible}. "
            f"Received: quantize={quantize!r}"
        )
    if quantize == "int8" and calibration_data is None:
        raise ValueError(
            "int8 needs real inputs to find the ranges of the activations: pass "
            "`calibration_data`, a batched tf.data.Dataset, a PyDataset, or arrays `x` or "
            "`(x, y)`, of a few hundred training examples. Received: calibration_data=None"
        )
    if set(str(path.absolute())) & set(exporter.patterns):
        raise ValueError(
            f"Format {exporter.name!r} cannot be read again from a path with one of "
            f"{' '.join(exporter.patterns)}, which its runtime takes for a pattern: choose another "
            f"name. Received: path='{path.absolute()}'"
        )
    check_free(path)


def check_strings(inputs: StudentInputs, exporter: ExportFormat):
    """Raises a `ValueError` if the student takes strings and the format does not."""
    strings = [tensor.name for tensor in inputs.tensors if tensor.dtype == "string"]
    if strings and not exporter.takes_strings:
        able = ", ".join(repr(known.name) for known in FORMATS if known.takes_strings)
        raise ValueError(
            f"Strings can be exported in the formats {able}. For {exporter.name!r} export the part "
            "of the student that comes after its text or lookup layers. "
            f"Received: string inputs {strings}"
        )


def check_free(path: pathlib.Path):
    """Raises a `ValueError` if something stands at the path."""
    if path.exists() or path.is_symlink():
        raise taken(path)


def taken(path: pathlib.Path) -> ValueError:
    """Returns the error for a path at which something stands."""
    return ValueError(
        "Exports never overwrite: choose another path or remove what is there. "
        f"Received: path={str(path)!r}, which exists"
    )
