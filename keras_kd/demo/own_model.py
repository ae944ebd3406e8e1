"""A user's own classifier of images, from a file."""

import dataclasses
import importlib
import pathlib
import warnings

import keras
import numpy as np

from keras_kd.features.model_spec import input_spec, inspect_model
from keras_kd.features.predict_on_batch import predict_on_batch

_CLASSIFIER = (
    "A classifier of images was expected: one input (height, width, channels) of 1, 3 or 4 "
    "channels, one output of a score or probability for each of two classes or more"
)


@dataclasses.dataclass(frozen=True)
class OwnModel:
    """What a file holds.

    Attributes:
        role: `"teacher"` or `"student"`.
        path: The file.
        model: The model; whoever trains takes a copy.
        image_shape: `(height, width, channels)`; None for a height and width of any size.
        num_classes: How many classes it tells apart.
        from_logits: Whether its outputs are logits rather than probabilities.
    """

    role: str
    path: pathlib.Path
    model: keras.Model
    image_shape: tuple
    num_classes: int
    from_logits: bool


def load_own_model(role: str, path: str, modules=()) -> OwnModel:
    """Loads a model, in Keras' safe mode, and checks that it classifies images.

    Args:
        role: `"teacher"` or `"student"`, for messages.
        path: A `.keras` file, or an older `.h5`. It is read only.
        modules: Names of modules to import first, which register classes of the user's own.

    Raises:
        ValueError: If the file is not there, cannot be loaded, or holds another model.
    """
    file = pathlib.Path(path)
    for name in modules:
        _import(name)
    if not file.is_file():
        found = "a folder" if file.is_dir() else "nothing"
        raise ValueError(
            f"A file that `model.save('{role}.keras')` wrote was expected. Received: --{role} "
            f"{path}, where there is {found}"
        )
    if file.suffix not in (".keras", ".h5", ".hdf5"):
        raise ValueError(
            f"A .keras file was expected: `model.save('{role}.keras')` writes one. "
            f"Received: --{role} {path}"
        )
    try:
        with warnings.catch_warnings():
            # Nobody goes on training with the optimizer of the file.
            warnings.filterwarnings("ignore", message="Skipping variable loading for optimizer")
            model = keras.saving.load_model(file, compile=False)
    except Exception as error:  # whatever a broken file or a class that is not there raises
        raise ValueError(_not_loaded(role, path, error)) from error
    return OwnModel(role, file, model, *_classifier(role, path, model))


def _import(name):
    try:
        importlib.import_module(name)
    except Exception as error:  # whatever the user's code raises
        raise ValueError(
            "A module that Python can import from here was expected, `my_layers` for my_layers.py "
            f"in this folder. Received: --import {name} ({type(error).__name__}: {error})"
        ) from error


def _not_loaded(role, path, error):
    said = f"{error}".split(" Full object config")[0].strip() or type(error).__name__
    way_out = "Save the model anew with `model.save`, in the Keras that it runs in."
    if "register_keras_serializable" in said or "Could not locate" in said:
        way_out = (
            "The model has a class or function of your own: decorate it with "
            "`@keras.saving.register_keras_serializable()`, save the model anew, and name its "
            "module: --import MODULE."
        )
    elif "lambda" in said.lower():
        way_out = (
            "A lambda is code in the file, which is not run: put it into a layer of your own, "
            "registered with `@keras.saving.register_keras_serializable()`, and name its module: "
            "--import MODULE."
        )
    return f"The file cannot be loaded. {way_out} Received: --{role} {path} ({said[:600]})"


def _classifier(role, path, model):
    """Returns image shape, number of classes and whether the outputs are logits."""
    spec = input_spec(model) if model.built else None
    inputs = keras.tree.flatten(spec)
    shape = tuple(inputs[0].shape) if len(inputs) == 1 and inputs[0] is not None else None
    if shape is None or len(shape) != 4 or shape[-1] not in (1, 3, 4):
        given = [tuple(each.shape) for each in inputs if each is not None]
        raise ValueError(
            f"{_CLASSIFIER}. Received: --{role} {path}, a model "
            + (f"of inputs {given}" if given else "that does not tell its inputs")
        )
    found = inspect_model(model, spec, {})
    outputs = keras.tree.flatten(found.outputs)
    if len(outputs) != 1 or len(outputs[0].shape) != 2 or (outputs[0].shape[-1] or 0) < 2:
        given = [tuple(each.shape) for each in outputs]
        hint = " Two classes take two outputs." if [each[1:] for each in given] == [(1,)] else ""
        raise ValueError(
            f"{_CLASSIFIER}.{hint} Received: --{role} {path}, a model of outputs {given}"
        )
    if found.kinds == ["sigmoid"]:
        raise ValueError(
            f"{_CLASSIFIER}, of classes that exclude one another. Received: --{role} {path}, a "
            "model that ends in a sigmoid for each class"
        )
    from_logits = found.is_logits[0]
    if from_logits is None:
        from_logits = not _gives_probabilities(model, shape[1:])
    return shape[1:], outputs[0].shape[-1], from_logits


def _gives_probabilities(model, image_shape):
    shape = tuple(size or 64 for size in image_shape)
    images = np.random.default_rng(0).uniform(0, 255, (4, *shape)).astype("float32")
    answers = np.asarray(predict_on_batch(model, images))
    return bool((answers >= 0).all() and np.allclose(answers.sum(-1), 1.0, atol=1e-2))
