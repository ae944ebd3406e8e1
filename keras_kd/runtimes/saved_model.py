"""Folders for TensorFlow Serving."""

from __future__ import annotations

import math
import os

import numpy as np

from keras_kd.checks import local_path
from keras_kd.lazy_modules import tf
from keras_kd.runtimes.exported_file import ExportedFile
from keras_kd.runtimes.file_tensor import FileTensor

_SIGNATURE = "serving_default"


class SavedModel(ExportedFile):
    """A SavedModel, run by its signature `serving_default`, or the only one it has.

    It needs TensorFlow, on whatever backend Keras runs.

    Args:
        path: The folder.

    Raises:
        ImportError: If TensorFlow is not installed.
        ValueError: If the folder holds no SavedModel, or none of its signatures is to be chosen.

    Example:

    ```python
    answers = keras_kd.runtimes.SavedModel("student")(x)["output_0"]
    ```
    """

    runtime = "TensorFlow"

    def __init__(self, path: str | os.PathLike) -> None:
        folder = local_path("path", path)
        if not is_saved_model(folder):
            raise ValueError(
                "A folder with a SavedModel was expected, which holds a file `saved_model.pb`. "
                f"Received: path='{folder}'"
            )
        try:
            load = tf.saved_model.load
        except ImportError as error:
            raise ImportError(
                "A SavedModel runs in TensorFlow, on whatever backend Keras runs: `pip install "
                f"tensorflow`, or take an .onnx or .tflite file. Received: path='{folder}'"
            ) from error
        self._loaded = load(str(folder))  # its variables live as long as it does
        self._serve = _signature(self._loaded.signatures, folder)
        # An input that the model never reads may be missing from the signature.
        self._specs = self._serve.structured_input_signature[1]
        shapes = [spec.shape for spec in self._specs.values() if spec.shape.rank]
        sizes = [shape[0] for shape in shapes if shape[0] is not None]
        super().__init__(
            folder,
            [_tensor(name, spec) for name, spec in self._specs.items()],
            [_tensor(name, spec) for name, spec in self._serve.structured_outputs.items()],
            max(sizes, default=None),
        )

    def run(self, named: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See `ExportedFile`."""
        tensors = {name: tf.constant(named[name], spec.dtype) for name, spec in self._specs.items()}
        return {name: np.asarray(value) for name, value in self._serve(**tensors).items()}

    @property
    def weights_bytes(self) -> int | None:
        """Bytes of the variables that the signature reads, `None` where they are frozen."""
        variables = self._serve.variables
        return sum(math.prod(each.shape) * each.dtype.size for each in variables) or None


def is_saved_model(folder: os.PathLike) -> bool:
    """Returns whether a folder looks like a SavedModel."""
    names = ("saved_model.pb", "saved_model.pbtxt")
    return any(os.path.isfile(os.path.join(folder, name)) for name in names)


def _signature(signatures, folder):
    names = list(signatures)
    if _SIGNATURE not in names and len(names) != 1:
        raise ValueError(
            f"A SavedModel with the signature '{_SIGNATURE}', or with one alone, was expected. "
            f"Received: path='{folder}'. Available: {names}"
        )
    return signatures[_SIGNATURE if _SIGNATURE in names else names[0]]


def _tensor(name, spec):
    rank = spec.shape.rank
    shape = None if rank is None else tuple(-1 if n is None else n for n in spec.shape[1:])
    return FileTensor(name, shape, np.dtype(spec.dtype.as_numpy_dtype))
