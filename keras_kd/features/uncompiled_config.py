"""A model's config without how it was compiled."""

import keras


def uncompiled_config(model):
    """Serializes `model`, or None, without `compile_config` at any depth.

    A nested model that was compiled with a custom loss would otherwise break loading.
    """
    return _drop(keras.saving.serialize_keras_object(model))


def _drop(config):
    if isinstance(config, dict):
        return {key: _drop(part) for key, part in config.items() if key != "compile_config"}
    if isinstance(config, list | tuple):
        return [_drop(part) for part in config]
    return config
