"""Names one value inside a model."""

from __future__ import annotations

import dataclasses
from typing import Any, Self

import keras

from keras_kd.features.layer_tree import nearest

ATTENTION_SIDES = ("attention_logits", "attention_scores", "attention_vectors")
SIDES = ("output", "input", *ATTENTION_SIDES)
VECTORS = ("query", "key", "value")


@keras.saving.register_keras_serializable(package="keras_kd")
@dataclasses.dataclass(frozen=True)
class Tap:
    """Which value of which layer to read.

    A plain string in `layers={...}` means `Tap(string)`: the output of a layer that runs once (for
    an attention loss, what that loss reads of attention).

    Args:
        layer: The layer's name, or its path through nested models, `"backbone/stage2"`.
        side: `"output"` (the default), `"input"` (the layer's first argument) or, of a
            `keras.layers.MultiHeadAttention` or `GroupQueryAttention` (or a layer that holds one
            of them), `"attention_scores"`: probabilities `(B, heads, T, S)`, `"attention_logits"`:
            the scaled products of queries and keys `(B, heads, T, S)`, or `"attention_vectors"`:
            `{"query", "key", "value"}` of `(B, T or S, heads, size)`.
        call: Which call, from 0, of a layer that runs several times in one forward pass. None, the
            default, is for a layer that runs once.
        shape: The shape of the teacher's value where it travels with the data and no teacher is
            there to tell: `(None, 8, 8, 64)`, the batch first as None; for attention vectors a dict
            of the three. A Distiller reads it off the data that `fit` is given; only data that
            cannot be looked at (a generator) need it here.

    Raises:
        ValueError: If an argument is none of the above.

    Example:

    >>> from keras_kd.features import Tap
    >>> Tap("backbone/stage2", side="input")
    Tap(layer='backbone/stage2', side='input', call=None)
    >>> Tap("backbone/stage2", side="input").key
    'backbone/stage2:input'
    """

    layer: str
    side: str = "output"
    call: int | None = None
    shape: tuple | dict | None = dataclasses.field(default=None, hash=False)

    def __post_init__(self) -> None:
        if not isinstance(self.layer, str) or not self.layer:
            raise ValueError(f"`layer` must be a layer's name. Received: layer={self.layer!r}")
        if self.side not in SIDES:
            raise ValueError(
                f"`side` must be one of {list(SIDES)}. Received: side={self.side!r}."
                f"{nearest(self.side, SIDES)}"
            )
        is_index = isinstance(self.call, int) and not isinstance(self.call, bool) and self.call >= 0
        if self.call is not None and not is_index:
            raise ValueError(f"`call` must be an index from 0. Received: call={self.call!r}")
        if self.shape is not None:
            object.__setattr__(self, "shape", _check_shape(self.shape, self.side))

    def __repr__(self) -> str:
        shape = "" if self.shape is None else f", shape={self.shape}"
        return f"Tap(layer={self.layer!r}, side={self.side!r}, call={self.call}{shape})"

    @property
    def key(self) -> str:
        """The value's name among the features that travel with the data."""
        side = "" if self.side == "output" else f":{self.side}"
        call = "" if self.call is None else f"#{self.call}"
        return f"{self.layer}{side}{call}"

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Makes the tap that `get_config` described."""
        return cls(**config)

    @classmethod
    def of(cls, value: Tap | str, side: str = "output") -> Tap:
        """Returns `value` if it is a tap, else the tap that the string `value` names."""
        return value if isinstance(value, Tap) else cls(value, side=side)


def _check_shape(shape, side):
    """Returns the shape in tuples, or says what a shape is."""
    expected = "(None, ...), the batch first and then sizes above 0 or None"
    if side == "attention_vectors":
        expected = f"a dict of {list(VECTORS)}, the shape of each {expected}"
        is_right = isinstance(shape, dict) and set(shape) == {*VECTORS}
        if is_right and all(map(_is_shape, shape.values())):
            return {name: tuple(shape[name]) for name in VECTORS}
    elif _is_shape(shape):
        return tuple(shape)
    raise ValueError(f"`shape` of side {side!r} must be {expected}. Received: shape={shape!r}")


def _is_shape(shape):
    return (
        isinstance(shape, list | tuple)
        and len(shape) > 0
        and shape[0] is None
        and all(size is None or (type(size) is int and size > 0) for size in shape[1:])
    )


def mask_key(place) -> str:
    """Returns what data call the mask of a value: of a `Tap`, or of the output at a path."""
    if isinstance(place, Tap):
        return f"features/{place.key}"
    return "/".join(["outputs", *(str(key) for key in place)])
