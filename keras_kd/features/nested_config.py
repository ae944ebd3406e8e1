"""Configs of what holds models, as Keras saves them."""

import collections
from contextlib import nullcontext

import keras


def uncompiled_config(model):
    """Serializes `model`, or None, without `compile_config` at any depth.

    A nested model that was compiled with a custom loss would otherwise break loading.
    """
    return _drop(keras.saving.serialize_keras_object(model))


def with_parts(config, parts, custom_objects=None):
    """Returns a config in which the Keras objects under the keys `parts` have been made again."""
    # An empty scope would hide the one that the caller has opened.
    scope = keras.saving.custom_object_scope(custom_objects) if custom_objects else nullcontext()
    with scope:
        return {
            key: keras.saving.deserialize_keras_object(value, custom_objects=custom_objects)
            if key in parts
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
