"""A teacher that is a `.tflite` file."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import numpy as np

from keras_kd.runtimes.litert_file import LiteRTFile


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
        path: The file's path.
        file: The file as it was loaded, a `keras_kd.runtimes.LiteRTFile`; what changes on the disk
            later changes nothing here.
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
        self.file = LiteRTFile(path, signature=signature, num_threads=num_threads)
        self.path = self.file.path
        self.input_names, self.output_names = self.file.input_names, self.file.output_names
        self._digest = hashlib.blake2b(self.file.content, digest_size=16).hexdigest()

    def __call__(self, x: Any) -> np.ndarray | dict[str, np.ndarray]:
        """Returns the file's answers to a batch."""
        answers = self.file(x)
        return answers if len(answers) > 1 else answers[self.output_names[0]]

    def fingerprint(self) -> str:
        """Returns a digest of the file, by which a `TeacherCache` knows this teacher again."""
        return self._digest
