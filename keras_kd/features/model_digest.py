"""A digest by which a model is known again."""

import hashlib
import json
import tempfile
from pathlib import Path

import keras
import numpy as np

from keras_kd.features.layer_tree import layer_paths
from keras_kd.features.nested_config import uncompiled_config
from keras_kd.features.nested_layers import all_layers

_KNOWN = ("keras", "keras_hub", "keras_kd")


def model_digest(model: keras.Model) -> str:
    """Returns a digest of a model's config, weights and vocabularies.

    The names of layers do not count: Keras numbers nameless layers over the whole program, so that
    they change with what was built before. Nor does what is `trainable`.
    """
    digest = hashlib.blake2b(_config(model).encode(), digest_size=16)
    for value in model.get_weights():
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).view(np.uint8).reshape(-1).data)
    for content in _assets(model):
        digest.update(content)
    return digest.hexdigest()


def has_own_classes(model: keras.Model) -> bool:
    """Returns whether a model computes anything by classes that neither Keras nor we brought."""
    return any(type(layer).__module__.split(".")[0] not in _KNOWN for layer in all_layers(model))


def _assets(model):
    """Yields what layers keep in files, as a lookup its vocabulary and a SavedModel its graph."""
    for layer in {id(layer): layer for layer in layer_paths(model).values()}.values():
        if isinstance(layer, keras.layers.TFSMLayer):
            yield from _saved_model(Path(layer.filepath))
        elif hasattr(layer, "save_assets"):
            with tempfile.TemporaryDirectory() as folder:
                layer.save_assets(folder)
                yield from _contents(Path(folder))


def _saved_model(folder):
    if not folder.is_dir():
        raise FileNotFoundError(
            "A teacher that is a SavedModel is known by its files, which must still be there. "
            f"Received: filepath='{folder}', no folder"
        )
    return _contents(folder)


def _contents(folder):
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        yield file.name.encode() + file.read_bytes()


def _config(model):
    try:
        config = uncompiled_config(model)
    except (NotImplementedError, TypeError, ValueError):  # a subclass without `get_config`
        return type(model).__name__
    numbers = {}

    def anonymous(part):
        if isinstance(part, dict):
            names = {part["name"]} if isinstance(part.get("name"), str) else set()
            for name in names:
                numbers.setdefault(name, f"name {len(numbers)}")
            unsaid = {"trainable", *(["filepath"] if "call_endpoint" in part else [])}
            return {key: anonymous(part[key]) for key in part if key not in unsaid}
        if isinstance(part, list | tuple):
            return [anonymous(value) for value in part]
        return numbers.get(part, part) if isinstance(part, str) else part

    anonymous(config)  # learns the names, which connections may use before they are defined
    return json.dumps(anonymous(config), sort_keys=True, default=str)
