"""Finding layers by name or path, in models of every kind."""

import difflib
import re

import keras

from keras_kd.losses.distillation_loss import snake_case


def sublayers(layer) -> list:
    """Returns the layers that `layer` holds directly."""
    if isinstance(layer, keras.Model):
        return layer.layers
    # Keras has no public way to the layers inside a layer that is not a model.
    return layer._flatten_layers(include_self=False, recursive=False)


def layer_paths(model) -> dict:
    """Returns every layer inside `model` by its path, outer layers first.

    A layer that stands in several places is listed under each of them.
    """
    paths = {}
    level = [("", model)]
    while level:
        below = []
        for prefix, parent in level:
            for child in sublayers(parent):
                path = prefix + child.name
                if path not in paths:
                    paths[path] = child
                    below.append((path + "/", child))
        level = below
    return paths


def find_layer(model, name: str, role: str):
    """Returns the layer of `model` with that path, or with that name anywhere inside it.

    Args:
        model: The model to search.
        name: A path (`"backbone/stage2"`) or a name that only one layer has. The number that Keras
            gives to nameless layers inside a layer does not matter where there is only one. In
            subclassed models also the attributes that lead there, `"stem"` or `"blocks/0"`.
        role: `"student"` or `"teacher"`, for messages.

    Raises:
        ValueError: If no layer, or more than one, answers to the name.
    """
    paths = layer_paths(model)
    if name in paths:
        return paths[name]
    matches = {path: layer for path, layer in paths.items() if path.endswith("/" + name)}
    if len({id(layer) for layer in matches.values()}) == 1:
        return next(iter(matches.values()))
    by_attributes = None if matches else _by_attributes(model, name)
    if by_attributes is not None:
        return by_attributes
    matches = matches or _numbered_alike(model, paths, name)
    if len(matches) == 1:
        return next(iter(matches.values()))
    if matches:
        raise ValueError(
            f"Several layers of the {role} are called so: give a path. "
            f"Received: layer={name!r}. Paths: {list(matches)}"
        )
    raise ValueError(
        f"The {role} '{model.name}' has no such layer. Received: layer={name!r}."
        f"{nearest(name, paths)} Available: {list(paths)}"
    )


def _by_attributes(model, name):
    """Returns the layer to which attributes, keys and positions lead, or None."""
    found = model
    for part in name.split("/"):
        if isinstance(found, keras.layers.Layer):
            found = None if part.startswith("_") else vars(found).get(part)
        elif isinstance(found, dict):
            found = found.get(part)
        elif isinstance(found, list | tuple) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        else:
            return None
    return found if isinstance(found, keras.layers.Layer) else None


def _numbered_alike(model, paths, name):
    """Returns layers whose automatic name differs from `name` by its number only.

    Keras numbers the nameless layers inside layers and subclassed models over the whole program, so
    that their names change when a model is made or loaded a second time.
    """
    prefix, _, wanted = name.rpartition("/")
    matches = {}
    for path, layer in paths.items():
        parent, _, found = path.rpartition("/")
        holder = paths.get(parent, model)
        # The config of a Sequential or Functional model holds the names of its layers.
        named = isinstance(holder, keras.Sequential) or hasattr(holder, "operations")
        automatic = re.compile(snake_case(type(layer).__name__) + r"(_\d+)?")
        is_there = not prefix or f"/{parent}".endswith(f"/{prefix}")
        if not named and is_there and automatic.fullmatch(found) and automatic.fullmatch(wanted):
            matches[path] = layer
    return matches


def nearest(name: str, names) -> str:
    """Returns a sentence that suggests the nearest of `names`, or nothing."""
    close = difflib.get_close_matches(str(name), [str(n) for n in names], n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
