"""What all exported files have in common."""

from __future__ import annotations

import abc
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from keras_kd.runtimes.file_tensor import FileTensor


class ExportedFile(abc.ABC):
    """An exported file, loaded, as a function over NumPy batches of any size.

    Inputs and outputs that the file keeps as integers with a scale are real numbers here. A file of
    a fixed batch size is run on so many examples at a time. A new runtime is a subclass in a file
    of its own and one line in `open_file.py`.

    Args:
        path: Where the file was read.
        inputs: What goes in, without the batch.
        outputs: What comes out, likewise.
        batch_size: `None` if any batch goes in, else the only size that does.

    Call arguments: an array `(B, ...)`, or a dict of arrays by the names in `input_names`, of which
    others are left alone. Returns a dict by the names in `output_names`.

    Attributes:
        runtime: Name of what runs it.
        path: See above.
        batch_size: See above.
        input_names: What the file calls its inputs.
        output_names: What it calls its outputs.
        size_bytes: Bytes on disk; of a folder, those of all files in it.

    Raises:
        TypeError, ValueError: If a batch is not what the file takes.

    Example:

    ```python
    student = keras_kd.runtimes.open_file("student.tflite")  # an ExportedFile
    print(student.runtime, student.size_bytes, student.batch_size)
    answers = student(x)["output_0"]
    ```
    """

    runtime: str

    def __init__(
        self,
        path: pathlib.Path,
        inputs: Iterable[FileTensor],
        outputs: Iterable[FileTensor],
        batch_size: int | None,
    ) -> None:
        self.path = path
        self.batch_size = batch_size
        self._inputs = {tensor.name: tensor for tensor in inputs}
        self._outputs = {tensor.name: tensor for tensor in outputs}
        self.input_names, self.output_names = tuple(self._inputs), tuple(self._outputs)
        self.size_bytes = file_size(path)

    @abc.abstractmethod
    def run(self, named: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs one batch.

        Args:
            named: Arrays by input name, of the file's dtypes and batch size; others are left alone.

        Returns:
            What the file gives, by output name.
        """

    @property
    @abc.abstractmethod
    def weights_bytes(self) -> int | None:
        """Bytes of the constants in the file, `None` where it does not tell."""

    def batches(self, x: Any) -> Iterator[dict[str, np.ndarray]]:
        """Yields what `run` takes: the file's dtypes and batch size, the last batch filled up."""
        named = {name: self._inputs[name].stored(values) for name, values in self._named(x).items()}
        count = len(next(iter(named.values())))
        size = self.batch_size or max(count, 1)
        for start in range(0, count, size):
            rows = {name: values[start : start + size] for name, values in named.items()}
            missing = size - len(next(iter(rows.values())))
            if missing:  # the file takes no smaller batch
                rows = {
                    name: np.concatenate([values, np.repeat(values[-1:], missing, axis=0)])
                    for name, values in rows.items()
                }
            yield rows

    def __call__(self, x: Any) -> dict[str, np.ndarray]:
        """Returns the file's answers to a batch, by output name."""
        parts = [self.run(rows) for rows in self.batches(x)]
        count = len(next(iter(self._named(x).values())))
        return {
            name: tensor.real(np.concatenate([np.atleast_1d(part[name]) for part in parts])[:count])
            for name, tensor in self._outputs.items()
        }

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


def file_size(path: pathlib.Path) -> int:
    """Returns the bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
