"""Names one value inside a model."""

import dataclasses

import keras


@keras.saving.register_keras_serializable(package="keras_kd")
@dataclasses.dataclass(frozen=True)
class Tap:
    """Which value of which layer to read.

    A plain string in `layers={...}` means `Tap(string)`: the output of a layer that runs once.

    Args:
        layer: The layer's name, or its path through nested models, `"backbone/stage2"`.
        side: `"output"` (the default) or `"input"` (the layer's first argument).
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
        if self.side not in ("input", "output"):
            raise ValueError(f"`side` must be 'input' or 'output'. Received: side={self.side!r}")
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
    def of(cls, value):
        """Returns `value` if it is a tap, else the tap that the string `value` names."""
        return value if isinstance(value, cls) else cls(value)
