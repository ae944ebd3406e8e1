"""A model in another precision."""

import json
import pathlib
import tempfile
import zipfile

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


def dtype_clone(model: keras.Model, policy: str | None = None) -> keras.Model:
    """Copies a model through Keras' own file format, with every dtype policy made `policy`.

    The file carries all state that a copy of `get_weights()` would lose: vocabularies, the
    statistics of a `Normalization`, build shapes. Works for Functional, Sequential, nested and
    subclassed models; the model itself is not touched. Inputs keep their dtype; where `policy`
    is float32, lower ones become float32 too.

    Args:
        model: A built model of any dtype policy.
        policy: The name of a Keras dtype policy of floating-point numbers; None keeps each layer's.

    Returns:
        A new model with the same weights, not compiled.

    Raises:
        Exception: Whatever Keras raises for a model that cannot be rebuilt from its config.
    """
    objects = custom_objects(model)
    before = keras.config.dtype_policy()
    with tempfile.TemporaryDirectory() as folder:
        original = pathlib.Path(folder, "original.keras")
        cloned = pathlib.Path(folder, "cloned.keras")
        try:
            model.save(original)
            if policy is not None:
                keras.config.set_dtype_policy(policy)  # for layers made inside a user's __init__
                _copy(original, cloned, policy)
            return keras.saving.load_model(
                original if policy is None else cloned,
                custom_objects=objects,
                compile=False,
                safe_mode=False,
            )
        finally:
            keras.config.set_dtype_policy(before)


def _copy(source, target, policy):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                content = json.dumps(_with_policy(json.loads(content), policy)).encode()
            new.writestr(name, content)


def _with_policy(config, policy):
    """Replaces floating-point policies where a config holds a dtype or the name of a policy."""
    if isinstance(config, list):
        return [_with_policy(entry, policy) for entry in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy" and config["config"].get("name") in FLOATS:
        return {**config, "config": {**config["config"], "name": policy}}
    if config.get("class_name") in ("InputLayer", "__keras_tensor__") and policy != "float32":
        return config
    return {
        key: policy if key.endswith("dtype") and value in FLOATS else _with_policy(value, policy)
        for key, value in config.items()
    }
