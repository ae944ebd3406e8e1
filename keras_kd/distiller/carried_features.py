"""A teacher's values that travel with the data."""

import keras

from keras_kd.features.layer_tree import nearest
from keras_kd.features.tap import mask_key


class CarriedFeatures:
    """What the data carry of a teacher's layers, read as a `Recording` is.

    Args:
        values: `{Tap.key: value}`; a value is a tensor, or anything with a shape that stands for
            one, or for attention vectors a dict of them.
        masks: Which positions of these, and of the outputs, are real, by `features.tap.mask_key`.
    """

    def __init__(self, values, masks=None):
        self.values, self.masks = values, masks or {}

    def value(self, layer, tap):
        """Returns what `tap` names; `layer` is the tap again, as there is no teacher."""
        del layer
        self.check(tap)
        return self.values[tap.key]

    def mask(self, layer, tap):
        """Returns which positions of that value are real, or None if all are, or it is unknown."""
        del layer
        return self.masks.get(mask_key(tap))

    def shape(self, tap):
        """Returns the shape of what `tap` names, batch first as None, or a dict of shapes."""
        if tap.key not in self.values:
            raise ValueError(
                "The data carry no such value of the teacher: `x` must be {'inputs': x, "
                "'teacher_outputs': outputs, 'teacher_features': {key: value}}. "
                f"Received: key={tap.key!r}.{nearest(tap.key, self.values)} "
                f"Available: {sorted(self.values)}"
            )
        return keras.tree.map_structure(
            lambda value: (None, *tuple(value.shape)[1:]), self.values[tap.key]
        )

    def check(self, tap):
        """Raises if what `tap` names is not there, or not of the shape that the tap has."""
        found = self.shape(tap)
        if tap.shape is not None and not _fits(tap.shape, found):
            raise ValueError(
                "The data carry another shape than the loss was made for; a size that varies is "
                f"None in Tap(shape=...). Received: {tap}, in the data: shape={found}"
            )


def _fits(expected, found):
    if isinstance(expected, dict) or isinstance(found, dict):
        return (
            isinstance(expected, dict)
            and isinstance(found, dict)
            and set(expected) == set(found)
            and all(_fits(expected[name], found[name]) for name in expected)
        )
    return len(expected) == len(found) and all(
        a is None or b is None or a == b for a, b in zip(expected, found, strict=True)
    )
