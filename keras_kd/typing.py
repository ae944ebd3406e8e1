"""Names for what public signatures take and give, where no one class says it."""

from typing import Any, TypeAlias

# A tensor of the backend that Keras runs on, a NumPy array, or what can be made one.
Tensor: TypeAlias = Any
# Sizes, the batch first; where a size is not known, None, which no formula can compute with.
Shape: TypeAlias = tuple[Any, ...]
