"""What a format of `export_student` must be able to do."""

import abc
import dataclasses
import importlib
import pathlib
from collections.abc import Callable, Iterator

import keras
import numpy as np

from keras_kd.export.student_inputs import StudentInputs
from keras_kd.export.tolerance import FLOAT32, Tolerance


@dataclasses.dataclass(frozen=True)
class Runtime:
    """A loaded export, as it is run beside its student.

    Attributes:
        run: From arrays by input name to the outputs: a dict by output name, or the structure that
            the student gives. Of files with a runtime of their own, `ExportedFile.run`.
        batch_size: `None` if any batch goes in, else the only size that does.
    """

    run: Callable[[dict[str, np.ndarray]], dict | list]
    batch_size: int | None = None


class ExportFormat(abc.ABC):
    """One format: writing a student, and loading the file again in its own runtime.

    A new format is a subclass in a file of its own, and one line in `formats.py`.

    Attributes:
        name: As the user says it.
        suffix: Of the path; empty for a folder.
        quantizations: What the format can quantise to.
        backends: Keras backends from which it can be written; `None` for all.
        float32_only: Whether a student in lower precision is exported through a float32 copy.
        takes_strings: Whether string inputs can be exported.
        packages: Modules that writing and running need, beyond what the library requires.
        patterns: Characters of a path that the runtime takes for a pattern's.
    """

    name: str
    suffix: str
    quantizations: tuple[str, ...] = ()
    backends: tuple[str, ...] | None = None
    float32_only: bool = True
    takes_strings: bool = True
    packages: tuple[str, ...] = ()
    patterns: str = ""

    @abc.abstractmethod
    def write(
        self,
        student: keras.Model,
        inputs: StudentInputs,
        path: pathlib.Path,
        quantize: str | None,
        examples: Callable[[], Iterator[dict[str, np.ndarray]]],
    ):
        """Writes the student.

        Args:
            student: In float32 if `float32_only`.
            inputs: Its inputs by name.
            path: Does not exist yet.
            quantize: `None` or one of `quantizations`.
            examples: Walks the calibration data, one example (a batch of 1) at a time, by name.
        """

    @abc.abstractmethod
    def load(self, path: pathlib.Path, student: keras.Model, inputs: StudentInputs) -> Runtime:
        """Loads what was written, in its own runtime."""

    def tolerance(self, quantize: str | None) -> Tolerance:
        """How far the export may be from the student."""
        return FLOAT32

    def check_available(self):
        """Raises if this format cannot be written on this backend, or lacks a package."""
        backend = keras.backend.backend()
        if self.backends is not None and backend not in self.backends:
            raise ValueError(
                f"Format {self.name!r} can be written on these Keras backends: "
                f"{', '.join(self.backends)}. Save the student as `.keras`, and in a process with "
                "KERAS_BACKEND=tensorflow load it with `keras.saving.load_model` and export it "
                f"from there. Received: backend={backend!r}"
            )
        for package in self.packages:
            try:
                importlib.import_module(package)
            except ImportError as error:
                raise ImportError(
                    f"Format {self.name!r} needs the package {package.split('.')[0]!r}. Install it "
                    'with `pip install "keras_kd[export]"`.'
                ) from error
