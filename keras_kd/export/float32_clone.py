"""A student in single precision, for the runtimes that cannot run anything else."""

import json
import pathlib
import tempfile
import zipfile

import keras

from keras_kd.export.sublayers import custom_objects, sublayers

_LOWER = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16", "float64")


def is_float32(student: keras.Model) -> bool:
    """Whether every layer of a student computes in float32 and holds float32 weights."""
    return all(
        layer.compute_dtype not in _LOWER and layer.variable_dtype not in _LOWER
        for layer in sublayers(student)
    )


def float32_clone(student: keras.Model) -> keras.Model:
    """Copies a student through Keras' own file format, with every dtype policy made float32.

    The file carries all state that a copy of `get_weights()` would lose: vocabularies, the
    statistics of a `Normalization`, build shapes. Works for Functional, Sequential, nested and
    subclassed students; the student itself is not touched.

    Args:
        student: A built student of any dtype policy.

    Returns:
        A new model with the student's weights.

    Raises:
        ValueError: If the student cannot be rebuilt from its config.
    """
    objects = custom_objects(student)
    policy = keras.config.dtype_policy()
    with tempfile.TemporaryDirectory() as folder:
        original = pathlib.Path(folder, "student.keras")
        cloned = pathlib.Path(folder, "float32.keras")
        try:
            keras.config.set_dtype_policy("float32")  # for layers made inside a user's __init__
            student.save(original)
            _copy_in_float32(original, cloned)
            clone = keras.saving.load_model(
                cloned, custom_objects=objects, compile=False, safe_mode=False
            )
        except Exception as error:
            raise ValueError(
                "A student in lower precision is exported through a float32 copy, and this one "
                "cannot be rebuilt from its config. Give it (and its custom layers) a "
                "`get_config`, or build it under a float32 policy and copy the weights before the "
                f"export. Received: student={student.name!r} of class {type(student).__name__}, "
                f"policy {student.dtype_policy.name!r}; the reason: {error}"
            ) from error
        finally:
            keras.config.set_dtype_policy(policy)
    _raise_the_rest(clone)
    return clone


def _copy_in_float32(source, target):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                content = json.dumps(_in_float32(json.loads(content))).encode()
            new.writestr(name, content)


def _in_float32(config):
    """Replaces lower precisions where a config holds a dtype or the name of a policy."""
    if isinstance(config, list):
        return [_in_float32(entry) for entry in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy" and config["config"].get("name") in _LOWER:
        return {**config, "config": {**config["config"], "name": "float32"}}
    return {
        key: "float32" if key.endswith("dtype") and value in _LOWER else _in_float32(value)
        for key, value in config.items()
    }


def _raise_the_rest(clone):
    """Raises policies that a custom layer sets itself, whatever its config says."""
    for layer in sublayers(clone):
        if layer.variable_dtype in _LOWER:
            raise ValueError(
                "A student in lower precision is exported through a float32 copy, and one of its "
                f"layers sets its weights to {layer.variable_dtype} itself, whatever its config "
                f"says. Received: layer={layer.name!r} of class {type(layer).__name__}"
            )
        if layer.compute_dtype in _LOWER:
            layer.dtype_policy = "float32"
