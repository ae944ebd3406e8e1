"""Configs of what holds models, as Keras saves them."""

import collections
from contextlib import nullcontext

import keras

from keras_kd.features.shared_layers import share_again, shared_layers


def uncompiled_config(model):
    """Serializes `model`, or None, without `compile_config` at any depth.

    A nested model that was compiled with a custom loss would otherwise break loading.
    """
    return _drop(keras.saving.serialize_keras_object(model))


def uncompiled_configs(parts):
    """Serializes models that may hold the same layers, such as one `TextVectorization`.

    Args:
        parts: Models, lists of models and None by the keys of a config.

    Returns:
        The same with the models' configs, and under `"shared_layers"` the class and the name of
        each layer that several models hold, if there are any.

    Raises:
        ValueError: If two layers of one name, of which one is shared, cannot be told apart.
    """
    shared = shared_layers(_models_in(parts))
    configs = {
        key: [uncompiled_config(model) for model in part]
        if isinstance(part, list)
        else part and uncompiled_config(part)
        for key, part in parts.items()
    }
    return {**configs, "shared_layers": shared} if shared else configs


def with_parts(config, parts, custom_objects=None):
    """Returns a config in which the Keras objects under the keys `parts` have been made again.

    Layers that models shared are one for each then, with what the file has of the one.
    """
    # An empty scope would hide the one that the caller has opened.
    scope = keras.saving.custom_object_scope(custom_objects) if custom_objects else nullcontext()
    with scope:
        made = {
            key: keras.saving.deserialize_keras_object(value, custom_objects=custom_objects)
            if key in parts and not isinstance(value, keras.Model)  # one that is made already
            else value
            for key, value in config.items()
        }
    models = _models_in({key: made[key] for key in parts if key in made})
    share_again(models, made.pop("shared_layers", ()))
    return made


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


def _models_in(parts):
    return [model for model in keras.tree.flatten(parts) if isinstance(model, keras.Model)]
