"""Every layer inside a layer."""

from collections.abc import Iterator
from types import FunctionType

import keras


def all_layers(layer: keras.Layer) -> Iterator[keras.Layer]:
    """Walks a layer and all layers it holds, however deep, each once.

    Args:
        layer: A layer or model.

    Yields:
        The layer itself first, then those in its attributes, and in lists, tuples and dicts there.
    """
    seen = set()
    waiting = [layer]
    while waiting:
        layer = waiting.pop()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        yield layer
        for value in list(vars(layer).values()):
            waiting += [held for held in _leaves(value) if isinstance(held, keras.Layer)]


def custom_objects(layer: keras.Layer) -> dict[str, object]:
    """The user's own classes and functions inside a layer, by name, as Keras' loading takes them.

    With them a student that was not registered for saving can be loaded here, where its code is.
    """
    found: dict[str, object] = {}
    for held in all_layers(layer):
        functions = [value for value in vars(held).values() if isinstance(value, FunctionType)]
        codes: list[type | FunctionType] = [type(held), *functions]
        for code in codes:
            if not code.__module__.startswith("keras."):
                found[code.__name__] = code
    return found


def _leaves(value):
    if isinstance(value, dict):
        for held in value.values():
            yield from _leaves(held)
    elif isinstance(value, list | tuple):
        for held in value:
            yield from _leaves(held)
    else:
        yield value
