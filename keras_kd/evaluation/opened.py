"""What `compare` takes beside Keras models."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

import keras

from keras_kd.evaluation.kinds import by_name
from keras_kd.runtimes import ExportedFile, open_file
from keras_kd.runtimes.open_file import find_format
from keras_kd.teachers.tflite_teacher import TFLiteTeacher

# A model, a file of one (its path, or an ExportResult, which is a path), or a file that is open.
Comparable: TypeAlias = keras.Model | ExportedFile | TFLiteTeacher | str | os.PathLike


def all_opened(
    models: Any,
) -> tuple[dict[str, keras.Model | ExportedFile], dict[str, list[str]]]:
    """Returns all models by a name each, files opened, and the names by kind.

    Args:
        models: See `compare`.

    Raises:
        ValueError: If it is no dict by name, a name is no string, or for what `by_name` and
            `opened` raise.
    """
    if not isinstance(models, dict) or not models:
        raise ValueError(
            "A dict of at least one model by name was expected, such as "
            f'`{{"student": student}}`. Received: models={models}'
        )
    given, kinds = by_name(models)
    for name in given:
        if not isinstance(name, str):
            raise ValueError(f"Names of models are strings. Received: name={name!r}")
    return {name: opened(f"models[{name!r}]", one) for name, one in given.items()}, kinds


def opened(place: str, given: Comparable) -> keras.Model | ExportedFile:
    """Returns what can be run: Keras models as they are, files loaded in their own runtimes.

    Args:
        place: Where it was given, for messages.
        given: See `compare`.

    Raises:
        FileNotFoundError: If nothing is at a path.
        ImportError: If what runs a file is not installed.
        ValueError: If it is no built model, nor a path of a file that can be loaded.
    """
    if isinstance(given, TFLiteTeacher):
        return given.file
    if isinstance(given, ExportedFile):
        return given
    if isinstance(given, str | os.PathLike):
        if find_format(given, name=place) != "keras":
            return open_file(given, name=place)
        given = _loaded(place, given)
    if not isinstance(given, keras.Model):
        raise ValueError(
            "A Keras model was expected, or the path of a .keras, .tflite or .onnx file or of a "
            f"SavedModel. Received: {place}={given!r} (of type {type(given).__name__})"
        )
    if not given.built:
        raise ValueError(
            "Built models were expected, and this one has no weights yet: call it on a batch, or "
            f"`build` it, first. Received: {place}={given.name!r} of type {type(given).__name__}"
        )
    return given


def _loaded(place, path):
    try:
        return keras.saving.load_model(os.fspath(path), compile=False)
    except Exception as error:
        raise ValueError(
            "The file cannot be loaded by `keras.saving.load_model`; load it yourself and pass the "
            f"model: {str(error)[:1000]} [Received: {place}='{os.fspath(path)}']"
        ) from error
