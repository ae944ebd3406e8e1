"""What several trainings are compiled and fitted with, checked before the first of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np

from keras_kd.callbacks import TeacherRoute
from keras_kd.checks import check_takes, check_whole_number
from keras_kd.distiller import Distiller
from keras_kd.features.layer_tree import layer_paths, nearest

Compile: TypeAlias = Mapping[str, Any] | Callable[[], Mapping[str, Any]]

_MODELS = ("self", "student", "teacher", "name")
_SETTINGS = [name for name in inspect.signature(Distiller).parameters if name not in _MODELS]
_DATA = ("validation_data", "sample_weight", "verbose", "x", "y")


def compile_arguments(compile: Compile) -> Callable[[], dict[str, Any]]:
    """Returns a function that gives the keyword arguments of `compile`, an optimizer of its own.

    Args:
        compile: The arguments as a dict, whose optimizer is made again from its config at each
            call, or a function without arguments that returns them.

    Raises:
        TypeError: If it is neither.
    """
    if callable(compile):
        check_takes("compile", compile, "without arguments", (0,))
        return lambda: _checked(compile())
    _checked(compile)
    return lambda: {name: _own(value) for name, value in compile.items()}


def _own(value):
    """An optimizer that belongs to no model yet; anything else as it is."""
    if isinstance(value, keras.optimizers.Optimizer):
        return type(value).from_config(value.get_config())
    return value


def _checked(given):
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise TypeError(
            "`compile` must be the keyword arguments of Keras' compile as a dict, such as "
            '{"optimizer": "adam", "loss": loss}, or a function that returns them. '
            f"Received: compile={given!r}"
        )
    return dict(given)


def with_rate(arguments: dict[str, Any], learning_rate: Any) -> dict[str, Any]:
    """Returns keyword arguments of `compile` whose optimizer has another learning rate."""
    if learning_rate is None:
        return arguments
    optimizer = keras.optimizers.get(arguments.get("optimizer", "rmsprop"))
    return {**arguments, "optimizer": _at_rate(optimizer, learning_rate)}


def _at_rate(optimizer, learning_rate):
    """The same optimizer, new, with that learning rate."""
    config = optimizer.get_config()
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):  # which has none of its own
        inner = _at_rate(optimizer.inner_optimizer, learning_rate)
        return type(optimizer)(**{**config, "inner_optimizer": inner})
    return type(optimizer).from_config({**config, "learning_rate": learning_rate})


def distiller_arguments(given: Mapping[str, Any] | None, name: str = "distiller") -> dict[str, Any]:
    """Returns settings of a Distiller, or says which of them is none.

    Raises:
        TypeError: If they are no dict.
        ValueError: If one is not known.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(
            f"`{name}` must be a dict of a Distiller's settings, such as "
            f'{{"alpha": 0.1, "temperature": 4.0}}. Received: {name}={given!r}'
        )
    for key in given:
        if key not in _SETTINGS:
            raise ValueError(
                f"`{name}` holds what is no setting of a Distiller here. Received: {key!r}."
                f"{nearest(key, _SETTINGS)} Available: {_SETTINGS}"
            )
    return dict(given)


def fit_arguments(given: Mapping[str, Any], x: Any, y: Any) -> dict[str, Any]:
    """Returns what each `fit` is given, with `epochs`, which must be one at least.

    Raises:
        TypeError: If an argument is none of Keras' `fit`.
        ValueError: If there are no epochs, or one would mean something else in each training.
    """
    known = [name for name in inspect.signature(keras.Model.fit).parameters if name != "self"]
    for name in given:
        if name not in known:
            raise TypeError(
                f"Keras' fit takes no such argument. Received: {name!r}.{nearest(name, known)} "
                f"Available: {known}"
            )
    if given.get("initial_epoch"):
        raise ValueError(
            "Each training begins at its own first epoch: give a `folder` to go on with what was "
            f"stopped. Received: initial_epoch={given['initial_epoch']!r}"
        )
    if inspect.isgenerator(x):
        raise ValueError(
            "The first training would use up a generator: give arrays, a tf.data.Dataset or a "
            f"keras.utils.PyDataset. Received: x={x!r}"
        )
    epochs = check_whole_number("epochs", given.get("epochs", 1), least=1)
    return {**given, "x": x, "y": y, "epochs": epochs}


def callbacks_of(given: Any, name: str, trainings: int) -> list[keras.callbacks.Callback]:
    """Returns the callbacks of one training.

    Args:
        given: A callback, a list of them, None, or a function of the training's name that returns
            one of these.
        name: The training's name.
        trainings: How many trainings there are.

    Raises:
        TypeError: If something is no callback.
        ValueError: If one of a list would mix up the trainings, since it keeps files.
    """
    made_anew = callable(given) and not isinstance(given, keras.callbacks.Callback)
    if made_anew:
        check_takes("callbacks", given, "of a training's name", (1,))
        given = given(name)
    callbacks = [] if given is None else given
    callbacks = [callbacks] if isinstance(callbacks, keras.callbacks.Callback) else callbacks
    if not isinstance(callbacks, list | tuple):
        raise TypeError(
            "`callbacks` must be a list of callbacks, or a function that returns one, given the "
            f"name of a training. Received: callbacks={given!r}"
        )
    for each in callbacks:
        if not isinstance(each, keras.callbacks.Callback):
            raise TypeError(f"`callbacks` must hold Keras callbacks. Received: {each!r}")
        if _keeps_files(each) and trainings > 1 and not made_anew:
            raise ValueError(
                "Every training would write to the same files: give a function of the training's "
                "name, callbacks=lambda name: [StudentCheckpoint(f'{name}.keras')], and a `folder` "
                f"to go on with what was stopped. Received: {type(each).__name__} in a list"
            )
    return list(callbacks)


def _keeps_files(callback):
    """Whether a callback's second training would spoil, or refuse, the files of the first."""
    if isinstance(callback, keras.callbacks.CSVLogger):
        return not callback.append
    kinds = (keras.callbacks.ModelCheckpoint, keras.callbacks.BackupAndRestore, TeacherRoute)
    return isinstance(callback, kinds)


def plain(value: Any) -> Any:
    """Returns what of an argument can be compared with that of another day, for a JSON file.

    Functions, and objects of other classes than Keras' own, are known by their names alone.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, keras.optimizers.Optimizer | keras.Loss | keras.Metric):
        config = value.get_config()  # whose name Keras may have numbered over the whole program
        return {"class": type(value).__name__, **plain({**config, "name": None})}
    return getattr(value, "__qualname__", type(value).__name__)


def plain_fit(fit: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what of the arguments of `fit` can be compared: not the data."""
    return {name: plain(value) for name, value in fit.items() if name not in _DATA}


def size_of(model: keras.Model) -> str:
    """Returns how large a model is, by which a folder knows it again."""
    layers, weights = len(layer_paths(model)), len(model.weights)
    return f"{layers} layers, {weights} weights, {model.count_params()} parameters"


def check_names(names: Sequence[str], what: str) -> None:
    """Raises a ValueError if two things have one name, by which results are found."""
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise ValueError(
            f"Results are found by name: give each {what} a name= of its own. "
            f"Received: {list(names)}"
        )
