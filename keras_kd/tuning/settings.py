"""The settings of one trial, which know what was asked of them."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from typing import Any

from keras_kd.features.layer_tree import nearest


class Settings(collections.UserDict):
    """A dict of settings by name, as `make_distiller` is given it.

    Args:
        found: The settings.

    Attributes:
        read: The names that were asked for.

    Raises:
        KeyError: Where a name is asked for that the space does not have.
    """

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.read: set[str] = set()
        super().__init__(found)

    def __getitem__(self, name: str) -> Any:
        if name not in self.data:
            raise KeyError(
                f"The space has no such setting. Received: {name!r}.{nearest(name, self.data)} "
                f"Available: {list(self.data)}"
            )
        self.read.add(name)
        return self.data[name]

    def copy(self) -> Settings:
        """Returns the same settings, which note what is asked of them in the same place."""
        return self | {}

    def __or__(self, other: Any) -> Any:
        return self._noting_here(super().__or__(other))

    def __ror__(self, other: Any) -> Any:
        return self._noting_here(super().__ror__(other))

    def _noting_here(self, made):
        if isinstance(made, Settings):
            made.read = self.read
        return made
