"""The formats of `export_student`."""

import pathlib

from keras_kd.export.export_format import ExportFormat
from keras_kd.export.keras_file import KerasFormat
from keras_kd.export.onnx_file import ONNXFormat
from keras_kd.export.saved_model import SavedModelFormat
from keras_kd.export.tflite import TFLiteFormat

FORMATS = (SavedModelFormat(), TFLiteFormat(), KerasFormat(), ONNXFormat())


def find_format(path: pathlib.Path, name: str | None) -> ExportFormat:
    """Finds a format by its name, or else by the suffix of the path.

    Args:
        path: Where the export goes.
        name: The user's `format=`, or `None`.

    Returns:
        The format.

    Raises:
        ValueError: If there is no such format.
    """
    for known in FORMATS:
        if known.name == name or (name is None and known.suffix == path.suffix):
            return known
    names = ", ".join(f"{known.name!r} ({known.suffix or 'a folder'})" for known in FORMATS)
    raise ValueError(
        f"Formats are {names}: end the path in one of these suffixes, or pass `format=`. "
        f"Received: path={str(path)!r}, format={name!r}"
    )
