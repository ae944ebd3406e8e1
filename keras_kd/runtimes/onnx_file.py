"""ONNX files."""

from __future__ import annotations

import math
import os
import pathlib

import numpy as np

from keras_kd.checks import local_path
from keras_kd.runtimes.exported_file import ExportedFile
from keras_kd.runtimes.file_tensor import FileTensor

# What ONNX calls otherwise than NumPy.
_DTYPES = {"float": "float32", "double": "float64", "string": "object"}


class ONNXFile(ExportedFile):
    """An `.onnx` file, run by ONNX Runtime on the CPU.

    Outputs that bear no name of the model's, such as tf2onnx's `Identity:0`, are `output_0`,
    `output_1`, ... in the file's order.

    Args:
        path: The file.

    Raises:
        ImportError: If `onnxruntime` is not installed.
        FileNotFoundError, ValueError: If there is no such file, or a tensor of it is of a kind that
            NumPy lacks.

    Example:

    ```python
    answers = keras_kd.runtimes.ONNXFile("student.onnx")(x)["output_0"]
    ```
    """

    runtime = "ONNX Runtime"

    def __init__(self, path: str | os.PathLike) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise ImportError(
                'An .onnx file runs in ONNX Runtime: `pip install "keras_kd[export]"`.'
            ) from error
        file = local_path("path", path)
        if not file.is_file():
            raise FileNotFoundError(f"There is no such file. Received: path='{file}'")
        self._session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        names = [tensor.name for tensor in outputs]
        if any(":" in name for name in names):  # tf2onnx names a dict's outputs only
            names = [f"output_{index}" for index in range(len(names))]
        sizes = [tensor.shape[0] for tensor in inputs if tensor.shape]
        super().__init__(
            file,
            [_tensor(tensor, tensor.name) for tensor in inputs],
            [_tensor(tensor, name) for tensor, name in zip(outputs, names, strict=True)],
            max((size for size in sizes if isinstance(size, int)), default=None),
        )
        self._tensors = _stored_tensors(file)
        self.size_bytes += sum(
            (file.parent / name).stat().st_size for name in _files_beside(self._tensors or [])
        )

    def run(self, named: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See `ExportedFile`."""
        outputs = self._session.run(None, {name: named[name] for name in self.input_names})
        return dict(zip(self.output_names, outputs, strict=True))

    @property
    def weights_bytes(self) -> int | None:
        """Bytes of the file's initializers and constants, `None` where `onnx` is not installed."""
        return None if self._tensors is None else sum(map(_bytes, self._tensors))


def _tensor(given, name):
    kind = given.type.removeprefix("tensor(").removesuffix(")")
    try:
        dtype = np.dtype(_DTYPES.get(kind, kind))
    except TypeError as error:
        raise ValueError(
            "Tensors of a kind that NumPy has were expected. "
            f"Received: '{given.name}' of type {given.type}"
        ) from error
    shape = tuple(size if isinstance(size, int) else -1 for size in given.shape[1:])
    return FileTensor(name, shape, dtype)


def _stored_tensors(file: pathlib.Path):
    """Returns the constants of all graphs in a file, or None without the package `onnx`."""
    try:
        import onnx
    except ImportError:
        return None
    graphs, tensors = [onnx.load(file, load_external_data=False).graph], []
    while graphs:
        graph = graphs.pop()
        tensors += graph.initializer
        attributes = [attribute for node in graph.node for attribute in node.attribute]
        tensors += [each.t for each in attributes if each.HasField("t")]
        # Bodies of loops and branches have initializers of their own.
        graphs += [each.g for each in attributes if each.HasField("g")]
        graphs += [body for each in attributes for body in each.graphs]
    return tensors


def _bytes(tensor):
    if tensor.raw_data:  # in which numbers of 4 bits lie side by side
        return len(tensor.raw_data)
    import onnx

    size = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    return math.prod(tensor.dims) * size


def _files_beside(tensors):
    """Returns the names of the files in which big models keep their initializers."""
    return {
        entry.value
        for tensor in tensors
        for entry in tensor.external_data
        if entry.key == "location"
    }
