"""A teacher from what travels to a worker: a file's path, or a function that makes it."""

from __future__ import annotations

import hashlib
import os
import posixpath
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from keras_kd.addresses import file_system, path_or_address
from keras_kd.checks import check_takes
from keras_kd.runtimes.open_file import find_format, open_file
from keras_kd.teachers.tflite_teacher import TFLiteTeacher

_OLDER = (".h5", ".hdf5")  # Keras' files of before


def check_teacher_source(teacher: Any) -> Path | str | Callable[[], Any]:
    """Returns what `load_teacher` takes, or says what would be.

    Raises:
        TypeError: If it is neither a path nor a function without arguments.
        ValueError, ImportError: If it is an address of no kind that can be read here.
    """
    if isinstance(teacher, keras.Model):
        raise TypeError(
            "A teacher travels as a file, which each worker loads once: "
            f"`teacher.save('teacher.keras')`, and give that path. Received: teacher "
            f"'{teacher.name}', a {type(teacher).__name__}"
        )
    if isinstance(teacher, str | os.PathLike):
        return path_or_address("teacher", teacher)
    if not callable(teacher):
        raise TypeError(
            "`teacher` must be the path of a .keras, .tflite or .onnx file or of a SavedModel, or "
            f"a function that makes it. Received: teacher={teacher!r}"
        )
    check_takes("teacher", teacher, "f() that returns a teacher, as a TeacherCache takes it", (0,))
    return teacher


def load_teacher(source: Path | str | Callable[[], Any]) -> Any:
    """Returns the teacher, as a `TeacherCache` takes it.

    Raises:
        FileNotFoundError, ImportError, TypeError, ValueError: If there is none, or what runs it is
            missing.
    """
    if isinstance(source, str):
        with tempfile.TemporaryDirectory() as folder:
            try:
                return _load(_fetched(source, Path(folder)))
            except Exception as error:
                error.add_note(f"The teacher was fetched from '{source}'.")
                raise
    if not isinstance(source, Path):
        made = source()
        if not callable(made):
            raise TypeError(
                "The function must return a teacher: a keras.Model or a function from a batch of "
                f"arrays to arrays. Received: teacher={source!r}, which returned {made!r:.200}"
            )
        return made
    return _load(source)


def _load(source):
    if source.is_file() and source.suffix.lower() in _OLDER:
        return _keras_file(source)
    format = find_format(source, name="teacher")
    if format == "keras":
        return _keras_file(source)
    return TFLiteTeacher(source) if format == "tflite" else _FileTeacher(source)


def _fetched(url, folder):
    """Returns a copy of a file, or of a folder with all that is in it."""
    files, path = file_system("teacher", url)
    copy = folder / path.rpartition("/")[-1]
    try:
        if files.isfile(path):
            wanted = {path: copy}
            if files.isfile(f"{path}.data"):  # weights that an .onnx file has beside it
                wanted[f"{path}.data"] = copy.with_name(f"{copy.name}.data")
        else:
            parts = [part for part in files.find(path) if not part.endswith("/")]
            wanted = {part: copy / posixpath.relpath(part, path) for part in parts}
        if not wanted:
            raise FileNotFoundError(url)
        for part, target in wanted.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            files.get_file(part, str(target))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"There is no such teacher. Received: teacher='{url}'") from error
    except Exception as error:  # whatever a store raises
        raise OSError(
            "The teacher could not be read: its address must be one that this process may read. "
            f"Received: teacher='{url}' ({type(error).__name__}: {error})"
        ) from error
    return copy


def _keras_file(file):
    try:
        return keras.saving.load_model(file, compile=False)
    except Exception as error:  # whatever a broken file or a class that is not there raises
        said = str(error).split(" Full object config")[0].strip() or type(error).__name__
        raise ValueError(
            "The teacher's file cannot be loaded. Where it holds classes of your own, give a "
            "function that imports them and loads the file. "
            f"Received: teacher='{file}' ({said[:600]})"
        ) from error


class _FileTeacher:
    """An exported file as a function over batches, known again by its content."""

    def __init__(self, path):
        self.file = open_file(path, name="teacher")
        self._digest = _digest(path)

    def __call__(self, x):
        answers = self.file(x)
        return answers if len(answers) > 1 else next(iter(answers.values()))

    def fingerprint(self):
        return self._digest


def _digest(path):
    """Returns a digest of a file, or of the names and contents of all files in a folder."""
    found = hashlib.blake2b(digest_size=16)
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb") as content:
                part = hashlib.file_digest(content, "blake2b").digest()
            found.update(file.relative_to(path).as_posix().encode() + b"\0" + part)
    return found.hexdigest()
