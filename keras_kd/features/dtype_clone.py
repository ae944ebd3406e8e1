"""A model in another precision."""

from __future__ import annotations

import json
import pathlib
import tempfile
import zipfile
from collections.abc import Mapping

import keras

from keras_kd.features.nested_layers import custom_objects

FLOATS = (
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "mixed_float16",
    "mixed_bfloat16",
)


def dtype_clone(model: keras.Model, policy: str | Mapping[str, str] | None = None) -> keras.Model:
    """Copies a model through Keras' own file format, with every dtype policy made `policy`.

    The file carries all state that a copy of `get_weights()` would lose: vocabularies, the
    statistics of a `Normalization`, build shapes. Works for Functional, Sequential, nested and
    subclassed models; the model itself is not touched. Inputs keep their dtype; where `policy`
    is float32, lower ones become float32 too.

    Args:
        model: A built model of any dtype policy.
        policy: The name of a Keras dtype policy of floating-point numbers; or which takes the place
            of which, by their names, all others staying; None keeps each layer's.

    Returns:
        A new model with the same weights, not compiled.

    Raises:
        Exception: Whatever Keras raises for a model that cannot be rebuilt from its config.
    """
    objects = custom_objects(model)
    before = keras.config.dtype_policy()
    places = dict(policy) if isinstance(policy, Mapping) else dict.fromkeys(FLOATS, policy)
    with tempfile.TemporaryDirectory() as folder:
        original = pathlib.Path(folder, "original.keras")
        cloned = pathlib.Path(folder, "cloned.keras")
        try:
            model.save(original)
            if policy is not None:
                if not isinstance(policy, Mapping):  # for layers made inside a user's __init__
                    keras.config.set_dtype_policy(policy)
                _copy(original, cloned, places)
            return keras.saving.load_model(
                original if policy is None else cloned,
                custom_objects=objects,
                compile=False,
                safe_mode=False,
            )
        finally:
            keras.config.set_dtype_policy(before)


def _copy(source, target, places):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                content = json.dumps(_with_policies(json.loads(content), places)).encode()
            new.writestr(name, content)


def _with_policies(config, places):
    """Replaces floating-point policies where a config holds a dtype or the name of a policy."""
    if isinstance(config, list):
        return [_with_policies(entry, places) for entry in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy" and config["config"].get("name") in places:
        return {**config, "config": {**config["config"], "name": places[config["config"]["name"]]}}
    is_input = config.get("class_name") in ("InputLayer", "__keras_tensor__")
    if is_input and places.get("float32") != "float32":
        return config
    return {
        key: places[value]
        if key.endswith("dtype") and isinstance(value, str) and value in places
        else _with_policies(value, places)
        for key, value in config.items()
    }
