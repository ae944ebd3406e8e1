"""LiteRT (TensorFlow Lite) files."""

from __future__ import annotations

import os

import numpy as np

from keras_kd.checks import check_whole_number, local_path
from keras_kd.runtimes.exported_file import ExportedFile
from keras_kd.runtimes.file_tensor import FileTensor


class LiteRTFile(ExportedFile):
    """A `.tflite` file, run by the signature runner of `ai_edge_litert`.

    Args:
        path: The file.
        signature: Which of the file's signatures to run; None (the default) where it has one, or
            none at all, as older converters wrote them.
        num_threads: How many threads the interpreter takes; None leaves it to LiteRT.

    Attributes:
        content: The file's bytes, as they were when it was loaded.

    Raises:
        ImportError: If `ai_edge_litert` is not installed.
        FileNotFoundError, TypeError, ValueError: If this is no such file, or it has no such
            signature.

    Example:

    ```python
    student = keras_kd.runtimes.LiteRTFile("student.tflite", num_threads=1)
    print(student.input_names, student.weights_bytes)
    ```
    """

    runtime = "LiteRT"

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        signature: str | None = None,
        num_threads: int | None = None,
    ) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise ImportError(
                "A .tflite file runs in LiteRT: `pip install ai-edge-litert`, or "
                '`pip install "keras_kd[export]"`.'
            ) from error
        file = local_path("path", path)
        if not file.exists():
            raise FileNotFoundError(f"There is no such file. Received: path='{file}'")
        if file.is_dir():
            raise ValueError(f"`path` must be a LiteRT file. Received: path='{file}', a folder")
        if num_threads is not None:
            check_whole_number("num_threads", num_threads, least=1)
        self.content = file.read_bytes()
        if self.content[4:8] != b"TFL3":
            raise ValueError(
                "`path` must be a LiteRT file, which has 'TFL3' in its bytes 4 to 7. "
                f"Received: path='{file}', whose first bytes are {self.content[:8]!r}"
            )
        # From what was read, so that the file may change without this one changing.
        interpreter = Interpreter(model_content=self.content, num_threads=num_threads)
        interpreter.allocate_tensors()
        self._interpreter = interpreter  # which has to live as long as what runs it
        self._runner = _runner(interpreter, signature)
        inputs = self._runner.get_input_details()
        sizes = [int(size) for given in inputs.values() for size in given["shape_signature"][:1]]
        batch_size = max(sizes, default=-1)  # below 0 is any
        super().__init__(
            file,
            _tensors(inputs),
            _tensors(self._runner.get_output_details()),
            batch_size if batch_size > 0 else None,
        )

    def run(self, named: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See `ExportedFile`."""
        outputs = self._runner(**{name: named[name] for name in self.input_names})
        return {name: np.array(value) for name, value in outputs.items()}

    @property
    def weights_bytes(self) -> int | None:
        """Bytes of the file's constant tensors."""
        try:
            from ai_edge_litert import schema_py_generated as schema
        except ImportError:  # versions that do not ship it
            return None
        model = schema.Model.GetRootAs(self.content)
        graphs = [model.Subgraphs(index) for index in range(model.SubgraphsLength())]
        # Tensors may share a buffer, which is in the file once; big ones lie behind the model.
        used = {graph.Tensors(i).Buffer() for graph in graphs for i in range(graph.TensorsLength())}
        buffers = [model.Buffers(index) for index in used]
        return sum(buffer.DataLength() or buffer.Size() for buffer in buffers)


def _tensors(details):
    """Returns what LiteRT says of tensors by name as `FileTensor`s."""
    return [
        FileTensor(
            name,
            tuple(tensor["shape_signature"][1:].tolist()),
            np.dtype(tensor["dtype"]),
            *tensor["quantization"],
        )
        for name, tensor in details.items()
    ]


class _WithoutSignature:
    """Runs a file that has no signature, by the names of its tensors."""

    def __init__(self, interpreter):
        self.interpreter = interpreter

    def get_input_details(self):
        return {tensor["name"]: tensor for tensor in self.interpreter.get_input_details()}

    def get_output_details(self):
        return {tensor["name"]: tensor for tensor in self.interpreter.get_output_details()}

    def __call__(self, **named):
        inputs = self.get_input_details()
        for name, values in named.items():
            self.interpreter.resize_tensor_input(inputs[name]["index"], values.shape)
        self.interpreter.allocate_tensors()
        for name, values in named.items():
            self.interpreter.set_tensor(inputs[name]["index"], values)
        self.interpreter.invoke()
        outputs = self.get_output_details()
        return {name: self.interpreter.get_tensor(outputs[name]["index"]) for name in outputs}


def _runner(interpreter, signature):
    known = list(interpreter.get_signature_list())
    if signature is None and not known:
        return _WithoutSignature(interpreter)
    if signature is None and len(known) == 1:
        return interpreter.get_signature_runner()
    if signature not in known:
        raise ValueError(
            "`signature` must name one of the file's signatures. "
            f"Received: signature={signature!r}. Available: {known}"
        )
    return interpreter.get_signature_runner(signature)
