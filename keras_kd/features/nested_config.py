"""Configs of what holds models, as Keras saves them."""

import collections
from contextlib import nullcontext

import keras


def uncompiled_config(model):
    """Serializes `model`, or None, without `compile_config` at any depth.

    A nested model that was compiled with a custom loss would otherwise break loading.
    """
    return _drop(keras.saving.serialize_keras_object(model))


def shared_preprocessors(parts):
    """Returns what a config says of KerasHub's tasks that have one preprocessor, or nothing.

    A file has a tokenizer's vocabulary once. Tasks that were given one preprocessor must have it
    before they are filled again, or the second one's is empty.

    Args:
        parts: Models and lists of models by the config's keys.

    Returns:
        An empty dict, or under `"shared_preprocessors"` lists of the places of those who share.
    """
    found: dict[int, list] = {}
    for path, model in keras.tree.flatten_with_path(parts):
        if getattr(model, "preprocessor", None) is not None:
            found.setdefault(id(model.preprocessor), []).append(list(path))
    shared = [places for places in found.values() if len(places) > 1]
    return {"shared_preprocessors": shared} if shared else {}


def with_parts(config, parts, custom_objects=None):
    """Returns a config in which the Keras objects under the keys `parts` have been made again."""
    config = dict(config)
    shared = config.pop("shared_preprocessors", ())
    made = _made_again(config, parts, custom_objects)
    for first, *others in shared:
        for other in others:
            _at(made, other).preprocessor = _at(made, first).preprocessor
    return made


def _at(config, path):
    for key in path:
        config = config[key]
    return config


def _made_again(config, parts, custom_objects):
    # An empty scope would hide the one that the caller has opened.
    scope = keras.saving.custom_object_scope(custom_objects) if custom_objects else nullcontext()
    with scope:
        return {
            key: keras.saving.deserialize_keras_object(value, custom_objects=custom_objects)
            if key in parts and not isinstance(value, keras.Model)  # one that is made already
            else value
            for key, value in config.items()
        }


def check_unshared(models):
    """Raises a ValueError if a config cannot describe models because they share variables."""
    holders = collections.Counter(id(v) for model in models for v in model.variables)
    shared = sum(count > 1 for count in holders.values())
    if shared:
        raise ValueError(
            "A file describes the models as ones of their own, which could not share weights when "
            "they are loaded: keep them with save_weights('name.weights.h5'). Received: "
            f"{[model.name for model in models]}, {shared} shared variables"
        )


def _drop(config):
    if isinstance(config, dict):
        return {key: _drop(part) for key, part in config.items() if key != "compile_config"}
    if isinstance(config, list | tuple):
        return [_drop(part) for part in config]
    return config
