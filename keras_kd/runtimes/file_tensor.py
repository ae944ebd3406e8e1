"""What an exported file says of one tensor that goes in or comes out."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class FileTensor:
    """One input or output of an exported file.

    Attributes:
        name: What the file calls it.
        shape: Of one example, -1 for any size; None for any shape.
        dtype: What the file keeps; `object` for strings.
        scale: Of integers that stand for real numbers, `(integer - zero_point) * scale`; 0 where
            values are what they are.
        zero_point: The integer that stands for 0.
    """

    name: str
    shape: tuple[int, ...] | None
    dtype: np.dtype
    scale: float = 0.0
    zero_point: int = 0

    def stored(self, values: np.ndarray) -> np.ndarray:
        """Returns a batch as the file keeps it, or says why it is not what the file takes.

        Real numbers are rounded to the file's integers; values of the file's own dtype go in as
        they are.

        Args:
            values: Array `(B, ...)`.

        Raises:
            TypeError: If values of this dtype cannot go in.
            ValueError: If examples are of another shape, or whole numbers beyond the file's.
        """
        if not self._fits(values.shape):
            raise ValueError(
                f"The file's input '{self.name}' takes examples of shape {self.shape}, where -1 is "
                f"any size. Received: a batch of shape {values.shape}"
            )
        numeric = values.dtype.kind in "biuf"
        if self.dtype == object:
            allowed = values.dtype.kind in "OSU"
        elif numeric and self.scale and values.dtype != self.dtype:
            limits = np.iinfo(self.dtype)
            values = np.round(values / self.scale) + self.zero_point
            return np.ascontiguousarray(np.clip(values, limits.min, limits.max), self.dtype)
        else:
            allowed = numeric and np.can_cast(values.dtype, self.dtype, "same_kind")
        if not allowed:
            wanted = "strings" if self.dtype == object else self.dtype
            raise TypeError(
                f"The file's input '{self.name}' takes {wanted}. Received: values of {values.dtype}"
            )
        if self.dtype.kind in "iu" and not self.scale:
            self._check_range(values)
        return np.ascontiguousarray(values, self.dtype)

    def real(self, values: np.ndarray) -> np.ndarray:
        """Returns what came out of the file, integers with a scale as the real numbers they are."""
        if not self.scale:
            return values
        return (values.astype("float32") - self.zero_point) * self.scale

    def _check_range(self, values):
        limits = np.iinfo(self.dtype)
        if values.size and (values.min() < limits.min or values.max() > limits.max):
            raise ValueError(
                f"The file's input '{self.name}' takes {self.dtype}, from {limits.min} to "
                f"{limits.max}. Received: values from {values.min()} to {values.max()}"
            )

    def _fits(self, shape):
        if self.shape is None:
            return len(shape) > 0
        return len(shape) == len(self.shape) + 1 and all(
            size in (-1, found) for size, found in zip(self.shape, shape[1:], strict=True)
        )
