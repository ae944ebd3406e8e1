"""A teacher that is a `.tflite` file."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import numpy as np

from keras_kd.checks import check_whole_number, local_path


class TFLiteTeacher:
    """A LiteRT (TensorFlow Lite) file as a function over NumPy batches, for a `TeacherCache`.

    Its values are no tensors of Keras, so that it cannot stand beside a student in a `Distiller`: a
    cache asks it once for each example. Inputs and outputs that the file keeps as integers with a
    scale are real numbers here. A file of a fixed batch size is asked that many examples at a time.

    Args:
        path: The file.
        signature: Which of the file's signatures to run; None (the default) where it has one, or
            none at all, as older converters wrote them.
        num_threads: How many threads the interpreter takes; None leaves it to LiteRT.

    Call arguments: an array `(B, ...)`, or a dict of arrays by the names in `input_names`, of which
    others are left alone. Returns an array, or a dict by the names in `output_names` where there
    are several.

    Attributes:
        input_names, output_names: What the file calls its inputs and outputs.

    Raises:
        ImportError: If `ai_edge_litert` is not installed.
        FileNotFoundError, TypeError, ValueError: If this is no such file, it has no such
            signature, or a batch is not what it takes.

    Example:

    ```python
    teacher = keras_kd.teachers.TFLiteTeacher("teacher.tflite")
    train = keras_kd.TeacherCache("teacher_says", teacher).label((x, y))
    keras_kd.Distiller(student)  # compiled and fitted on train.batch(64)
    ```
    """

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
                "A .tflite file runs in LiteRT: `pip install ai-edge-litert`."
            ) from error
        self.path = local_path("path", path)
        if not self.path.exists():
            raise FileNotFoundError(f"There is no such file. Received: path='{path}'")
        if self.path.is_dir():
            raise ValueError(f"`path` must be a LiteRT file. Received: path='{path}', a folder")
        if num_threads is not None:
            check_whole_number("num_threads", num_threads, least=1)
        content = self.path.read_bytes()
        if content[4:8] != b"TFL3":
            raise ValueError(
                "`path` must be a LiteRT file, which has 'TFL3' in its bytes 4 to 7. "
                f"Received: path='{path}', whose first bytes are {content[:8]!r}"
            )
        self._digest = hashlib.blake2b(content, digest_size=16).hexdigest()
        # From what was read, so that the file may change without this teacher changing.
        interpreter = Interpreter(model_content=content, num_threads=num_threads)
        self._run = _runner(interpreter, signature)
        self._inputs, self._outputs = self._run.get_input_details(), self._run.get_output_details()
        self.input_names, self.output_names = tuple(self._inputs), tuple(self._outputs)
        sizes = {int(wanted["shape_signature"][0]) for wanted in self._inputs.values()}
        self._batch_size = max(sizes)  # below 0 is any

    def __call__(self, x: Any) -> np.ndarray | dict[str, np.ndarray]:
        """Returns the file's answers to a batch."""
        named = {name: self._checked(name, values) for name, values in self._named(x).items()}
        count = len(next(iter(named.values())))
        size = self._batch_size if self._batch_size > 0 else max(count, 1)
        parts = [self._batch(named, start, size) for start in range(0, count, size)]
        whole = {
            name: np.concatenate([part[name] for part in parts])[:count]
            for name in self.output_names
        }
        return whole if len(whole) > 1 else whole[self.output_names[0]]

    def fingerprint(self) -> str:
        """Returns a digest of the file, by which a `TeacherCache` knows this teacher again."""
        return self._digest

    def _named(self, x):
        if isinstance(x, dict) and set(self.input_names) <= set(x):
            return {name: np.asarray(x[name]) for name in self.input_names}
        if isinstance(x, dict | list | tuple) or len(self.input_names) > 1:
            received = sorted(x) if isinstance(x, dict) else type(x).__name__
            raise ValueError(
                "The batch must be a dict of arrays by the file's names of its inputs, or an array "
                f"where it has one. Received: {received}. Available: {list(self.input_names)}"
            )
        return {self.input_names[0]: np.asarray(x)}

    def _checked(self, name, values):
        """Returns values as the file keeps them, or says why they are not what it takes."""
        wanted = self._inputs[name]
        shape, dtype = tuple(wanted["shape_signature"][1:].tolist()), np.dtype(wanted["dtype"])
        fits = values.ndim == len(shape) + 1 and all(
            size in (-1, found) for size, found in zip(shape, values.shape[1:], strict=True)
        )
        if not fits:
            raise ValueError(
                f"The file's input '{name}' takes examples of shape {shape}, where -1 is any size. "
                f"Received: a batch of shape {values.shape}"
            )
        scale, zero_point = wanted["quantization"]
        numeric = values.dtype.kind in "biuf"
        if numeric and scale and values.dtype != dtype:
            limits = np.iinfo(dtype)
            values = np.clip(np.round(values / scale) + zero_point, limits.min, limits.max)
        elif not numeric or not np.can_cast(values.dtype, dtype, "same_kind"):
            raise TypeError(
                f"The file's input '{name}' takes {dtype}. Received: values of {values.dtype}"
            )
        return np.ascontiguousarray(values, dtype)

    def _batch(self, named, start, size):
        rows = {name: values[start : start + size] for name, values in named.items()}
        missing = size - len(next(iter(rows.values())))
        if missing:  # the file takes no smaller batch
            rows = {
                name: np.concatenate([values, np.repeat(values[-1:], missing, axis=0)])
                for name, values in rows.items()
            }
        return {name: self._real(name, values) for name, values in self._run(**rows).items()}

    def _real(self, name, values):
        scale, zero_point = self._outputs[name]["quantization"]
        return (values.astype("float32") - zero_point) * scale if scale else np.array(values)


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
