"""Layers that several models of one file hold.

A file has what a layer knows, such as a vocabulary, once: at the place of the first model that
holds it. Keras makes a layer for each model again, of which the others would know nothing.
"""

import collections
import contextvars
import functools

import keras

from keras_kd.features.nested_layers import all_layers

_LOADS = ("load_own_variables", "load_assets")
_inside = contextvars.ContextVar("whether a layer and its copies are being loaded", default=False)


def shared_layers(models):
    """Returns class and name of each layer that several models hold, and a file has something of.

    Raises:
        ValueError: If two layers of one name, of which one is shared, cannot be told apart.
    """
    held = [{id(layer): layer for layer in _layers_of(model)} for model in models]
    counts = collections.Counter(number for layers in held for number in layers)
    every = {number: layer for layers in held for number, layer in layers.items()}
    shared = {_name_of(every[number]): number for number, count in counts.items() if count > 1}
    for number, layer in every.items():
        if shared.get(_name_of(layer), number) != number:
            raise ValueError(
                "A file tells layers that models share by their names, and two have one: rename "
                f"one of them. Received: {[model.name for model in models]} with two layers "
                f"'{layer.name}' of class {type(layer).__name__}"
            )
    return [list(name) for name in shared]


def share_again(models, names):
    """Makes of models from a file again what they were.

    Tasks of one preprocessor have one again. Other layers stay one for each model, and what the
    file has of the first is loaded into all.

    Args:
        models: The models, whose layers are not filled yet.
        names: What `shared_layers` returned.
    """
    names = [tuple(name) for name in names]
    for name in names:
        owners = [model for model in models if _has_preprocessor(model, name)]
        for model in owners[1:]:
            model.preprocessor = owners[0].preprocessor
    for name in names:
        found = [layer for model in models for layer in _layers_of(model)]
        copies = {id(layer): layer for layer in found if _name_of(layer) == name}
        # What a layer holds may have names that are given anew.
        for alike in zip(*(all_layers(layer) for layer in copies.values()), strict=False):
            _fill_together(alike)


def _layers_of(model):
    """Returns a model's layers that may have more in a file than their config."""
    tasks = [getattr(model, "preprocessor", None)]
    knowing = [layer for layer in all_layers(model) if _knows(layer)]
    return knowing + [layer for layer in tasks if isinstance(layer, keras.Layer)]


def _knows(layer):
    return hasattr(layer, "load_assets") or bool(layer.weights)


def _name_of(layer):
    return type(layer).__name__, layer.name


def _has_preprocessor(model, name):
    preprocessor = getattr(model, "preprocessor", None)
    return isinstance(preprocessor, keras.Layer) and _name_of(preprocessor) == name


def _fill_together(copies):
    """Has what Keras loads into the first of copies loaded into all, when it loads them."""
    for method in _LOADS:
        if len(copies) > 1 and all(hasattr(copy, method) for copy in copies):
            for copy in copies:
                # Beside what Keras tracks; it is gone when it has been called.
                vars(copy)[method] = functools.partial(_load, copy, copies, method)


def _load(layer, copies, method, given):
    """Takes the place of a method of one of the copies."""
    if _inside.get():  # the layer that holds this one is one of copies, and loads it
        getattr(type(layer), method)(layer, given)
        return
    vars(layer).pop(method, None)
    if given is None or (method == "load_own_variables" and not list(given.keys())):
        return  # the file has nothing here: another copy has what it has
    token = _inside.set(True)
    try:
        for copy in copies:
            if copy is layer or method in vars(copy):  # no other that had a place of its own
                getattr(type(copy), method)(copy, given)
    finally:
        _inside.reset(token)
