"""Names one value inside a model."""

import dataclasses

import keras

from keras_kd.features.layer_tree import nearest

ATTENTION_SIDES = ("attention_logits", "attention_scores", "attention_vectors")
SIDES = ("output", "input", *ATTENTION_SIDES)


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

    Raises:
        ValueError: If an argument is none of the above.

    Example:

    >>> from keras_kd.features import Tap
    >>> Tap("backbone/stage2", side="input")
    Tap(layer='backbone/stage2', side='input', call=None)
    """

    layer: str
    side: str = "output"
    call: int | None = None

    def __post_init__(self):
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

    def get_config(self):
        """Returns the constructor's arguments."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config):
        """Makes the tap that `get_config` described."""
        return cls(**config)

    @classmethod
    def of(cls, value, side="output"):
        """Returns `value` if it is a tap, else the tap that the string `value` names."""
        return value if isinstance(value, cls) else cls(value, side=side)
