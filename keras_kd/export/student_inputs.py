"""What goes into a student, by name."""

import dataclasses
import re

import keras
import numpy as np

from keras_kd.features.string_inputs import is_string
from keras_kd.lazy_modules import tf


@dataclasses.dataclass(frozen=True)
class InputTensor:
    """One tensor that goes in: its name in the export, its shape (batch first) and dtype."""

    name: str
    shape: tuple
    dtype: str


class StudentInputs:
    """The structure of a student's inputs, with a name for every tensor.

    Exports are called by these names, because the order of tensors changes from format to format.
    A dict's keys are the names; other tensors bear the name of their `keras.Input`, or
    `inputs`, `inputs_1`, ... where the user gave none.

    Args:
        student: A built model.
        samples: A few batches of inputs. A subclassed student does not know its inputs' dtypes,
            nor which lengths vary: both are found here.
    """

    def __init__(self, student: keras.Model, samples=()):
        self._names: set[str] = set()
        self.structure = self._described(student, list(samples))

    @property
    def tensors(self) -> list[InputTensor]:
        """All tensors."""
        return keras.tree.flatten(self.structure)

    def named(self, x) -> dict[str, np.ndarray]:
        """Maps a batch as the student takes it to arrays by name, in the declared dtypes."""
        named: dict[str, np.ndarray] = {}
        if isinstance(x, dict) and not isinstance(self.structure, dict):
            x = [x[tensor.name] for tensor in self.tensors]  # Keras takes a dict by name, too
        _collect(self.structure, x, named)
        return named

    def packed(self, named: dict[str, np.ndarray]):
        """Maps arrays by name back to the structure that the student takes."""
        return keras.tree.map_structure(lambda tensor: named[tensor.name], self.structure)

    def signature(self, batch_size: int | None = None) -> list:
        """The signature for `model.export`, with the names in it."""

        return [
            keras.tree.map_structure(
                lambda tensor: tf.TensorSpec(
                    (batch_size, *tensor.shape[1:]), tensor.dtype, name=tensor.name
                ),
                self.structure,
            )
        ]

    def random_examples(self, examples: int = 16, length: int = 32):
        """Makes inputs that any student of this signature accepts, the same on every call.

        Args:
            examples: How many.
            length: Taken for dimensions of unknown length.

        Returns:
            Standard normal floats, integers 0 and 1 (in range for any embedding), random
            booleans; in the student's structure.

        Raises:
            ValueError: If an input is a string.
        """
        random = np.random.default_rng(0)
        named = {}
        for tensor in self.tensors:
            if tensor.dtype == "string":
                raise ValueError(
                    "An export is run before it is called done, and strings cannot be made up: "
                    "pass `verify_data`, a batched data set or arrays `x` or `(x, y)`. "
                    f"Received: verify_data=None, string input {tensor.name!r}"
                )
            shape = [examples, *(length if size is None else size for size in tensor.shape[1:])]
            is_float = "float" in tensor.dtype
            values = random.normal(size=shape) if is_float else random.integers(0, 2, size=shape)
            named[tensor.name] = values.astype(tensor.dtype)
        return self.packed(named)

    def _described(self, student, samples):
        inputs = getattr(student, "inputs", None)
        if inputs is not None:
            structure = inputs[0] if isinstance(student, keras.Sequential) else student.input
            return self._from_symbols(structure)
        config = student.get_build_config() or {}
        shapes = [config["input_shape"]] if "input_shape" in config else []
        if not shapes and not samples:
            raise ValueError(
                "A subclassed student was expected that was called on one argument `x` (a tensor, "
                "or a dict or list of tensors), or `verify_data` to learn its inputs from. "
                f"Received: student={student.name!r} with build config {config}"
            )
        return self._from_samples(shapes, samples, student.input_dtype)

    def _from_symbols(self, structure, key=None):
        if isinstance(structure, dict):
            return {k: self._from_symbols(v, _join(key, k)) for k, v in structure.items()}
        if isinstance(structure, list | tuple):
            return [self._from_symbols(value) for value in structure]
        given = "inputs" if structure.name.startswith("keras_tensor") else structure.name
        dtype = keras.backend.standardize_dtype(structure.dtype)
        return self._tensor(key or given, structure.shape, dtype)

    def _from_samples(self, shapes, samples, dtype, key=None):
        """Walks the shapes of the build and the samples side by side."""
        guide = shapes[0] if shapes else samples[0]
        if isinstance(guide, dict):
            parts = {name: name for name in guide}
        elif isinstance(guide, list | tuple) and not _is_shape(guide):
            parts = dict(enumerate(range(len(guide))))
        else:
            arrays = [np.asarray(sample) for sample in samples]
            if arrays:
                dtype = _export_dtype(arrays[0].dtype, dtype)
            seen = [tuple(shape) for shape in shapes] + [array.shape for array in arrays]
            return self._tensor(key or "inputs", _common_shape(seen), dtype)
        walked = {
            part: self._from_samples(
                [shape[part] for shape in shapes],
                [sample[part] for sample in samples],
                dtype,
                _join(key, part) if isinstance(guide, dict) else key,
            )
            for part in parts
        }
        return walked if isinstance(guide, dict) else list(walked.values())

    def _tensor(self, name, shape, dtype):
        base = name = re.sub(r"\W", "_", str(name))
        number = 0
        while name in self._names:
            number += 1
            name = f"{base}_{number}"
        self._names.add(name)
        return InputTensor(name, (None, *shape[1:]), dtype)


def _collect(structure, x, named):
    if isinstance(structure, dict):
        for key, part in structure.items():
            _collect(part, x[key], named)
    elif isinstance(structure, list):
        parts = x if isinstance(x, list | tuple) else [x]
        for part, value in zip(structure, parts, strict=True):
            _collect(part, value, named)
    else:
        array = np.asarray(x[0] if isinstance(x, list | tuple) and len(x) == 1 else x)
        if array.ndim != len(structure.shape):
            raise ValueError(
                "Batches of examples were expected, with as many dimensions as the student's "
                f"input has. Received: input {structure.name!r} of shape {array.shape}, the "
                f"student takes {structure.shape}"
            )
        if structure.dtype != "string" and _holds_strings(array):
            raise ValueError(
                "The student takes numbers, such as token ids, and not strings: cut them first. "
                f"Received: {array.dtype} for input {structure.name!r} of {structure.dtype}"
            )
        dtype = object if structure.dtype == "string" else structure.dtype
        named[structure.name] = array.astype(dtype)


def _holds_strings(array):
    is_text = array.dtype == object and array.size and isinstance(array.flat[0], str | bytes)
    return is_text or is_string(array.dtype)


def _join(key, part):
    return str(part) if key is None else f"{key}_{part}"


def _is_shape(value):
    return all(size is None or isinstance(size, int) for size in value)


def _common_shape(shapes):
    return [sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*shapes, strict=True)]


def _export_dtype(found, floating):
    """The dtype of an export's input: floats as the student computes them, all else as found."""
    if np.issubdtype(found, np.floating):
        return floating
    if found.kind in "OSU":
        return "string"
    if keras.backend.backend() == "jax" and found.itemsize == 8:
        return "int32"
    return found.name
