"""Putting something else in the place of a value inside a model while it runs."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras

from keras_kd.features.tap import Tap
from keras_kd.losses.formula.keras_mask import keras_mask, with_mask

_CALLS = ("call", "quantized_call")  # what Keras runs, the second in a quantised layer
_ABSENT = object()


@contextlib.contextmanager
def replaced(layer: keras.Layer, tap: Tap, change: Callable[[Any], Any]) -> Iterator[None]:
    """Gives `change(value)` in place of a value, in one eager forward pass while this is open.

    Whatever leads around the value, a residual for one, stays as it is, and so does the mask that
    Keras hands on beside it: in a Functional model it is an argument of the layers that come after,
    which nobody here could change.

    Args:
        layer: The layer that `tap` names.
        tap: Which value: the layer's output, or its first argument; of several calls, which.
        change: Is given the value, a tensor or a nest of them, and returns another of its kind.
    """
    passed = {"calls": 0}
    before = {name: vars(layer).get(name, _ABSENT) for name in _CALLS if hasattr(layer, name)}
    for name in before:
        setattr(layer, name, _replacing(getattr(layer, name), tap, change, passed))
    try:
        yield
    finally:
        for name, own in before.items():
            if own is _ABSENT:
                delattr(layer, name)
            else:
                setattr(layer, name, own)


def _replacing(call, tap, change, passed):
    @functools.wraps(call)
    def replacing_call(*args, **kwargs):
        is_meant = tap.call is None or tap.call == passed["calls"]
        passed["calls"] += 1
        if is_meant and tap.side == "input":
            args, kwargs = _with_first(args, kwargs, change)
        given = call(*args, **kwargs)
        return _changed(given, change) if is_meant and tap.side == "output" else given

    return replacing_call


def _changed(value, change):
    # A model, or a layer that masks in its call, has set the mask already, on the old tensor.
    masks = keras.tree.map_structure(keras_mask, value)
    return keras.tree.map_structure(with_mask, change(value), masks)


def _with_first(args, kwargs, change):
    if args:
        return (_changed(args[0], change), *args[1:]), kwargs
    name = next(iter(kwargs))
    return args, {**kwargs, name: _changed(kwargs[name], change)}
