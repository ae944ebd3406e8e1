"""From a path to what runs the file there."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable

from keras_kd.checks import local_path
from keras_kd.runtimes.exported_file import ExportedFile
from keras_kd.runtimes.litert_file import LiteRTFile
from keras_kd.runtimes.onnx_file import ONNXFile
from keras_kd.runtimes.saved_model import SavedModel, is_saved_model

# By the names that `export_student` gives its formats.
_OPENED_BY: dict[str, Callable[[pathlib.Path], ExportedFile]] = {
    "saved_model": SavedModel,
    "tflite": LiteRTFile,
    "onnx": ONNXFile,
}


def open_file(path: str | os.PathLike, *, name: str = "path") -> ExportedFile:
    """Loads an exported file in its own runtime.

    Args:
        path: A `.tflite` or `.onnx` file or the folder of a SavedModel; or an `ExportResult`, which
            knows its format whatever the path's end.
        name: The argument's name, for messages.

    Returns:
        The `ExportedFile`.

    Raises:
        TypeError: If `path` is no path.
        FileNotFoundError: If nothing is there.
        ImportError: If what runs the file is not installed.
        ValueError: If this is no such file, or its runtime cannot load it.

    Example:

    ```python
    student = keras_kd.runtimes.open_file("student.tflite")
    answers = student(x)["output_0"]
    ```
    """
    file, format = local_path(name, path), find_format(path, name=name)
    if format not in _OPENED_BY:
        raise ValueError(
            "A file with a runtime of its own was expected: .tflite, .onnx or a SavedModel folder. "
            f"Received: {name}='{file}'"
        )
    try:
        return _OPENED_BY[format](file)
    except (ImportError, FileNotFoundError):
        raise
    except Exception as error:
        raise ValueError(
            f"The file cannot be loaded: {str(error)[:1000]} [Received: {name}='{file}']"
        ) from error


def find_format(path: str | os.PathLike, *, name: str = "path") -> str:
    """Returns the format of what is at a path: `"keras"`, `"onnx"`, `"saved_model"`, `"tflite"`.

    Args:
        path: See `open_file`; or a `.keras` file.
        name: The argument's name, for messages.

    Raises:
        FileNotFoundError: If nothing is there.
        ValueError: If what is there is of no known format.
    """
    file = local_path(name, path)
    if not file.exists():
        raise FileNotFoundError(f"There is no such file or folder. Received: {name}='{file}'")
    known = getattr(path, "format", None)
    if isinstance(known, str):  # of an ExportResult; a str has a method of this name
        return known
    if file.is_dir():
        if is_saved_model(file):
            return "saved_model"
        raise ValueError(
            "A folder with a SavedModel was expected, which holds a file `saved_model.pb`. "
            f"Received: {name}='{file}'"
        )
    format = file.suffix.removeprefix(".").lower()
    if format not in ("keras", "onnx", "tflite"):
        raise ValueError(
            "The ending of a file says what it is: .keras, .tflite, .onnx, or none for the folder "
            f"of a SavedModel. Received: {name}='{file}'"
        )
    return format
