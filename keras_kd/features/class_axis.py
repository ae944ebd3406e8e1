"""Where the classes of a softmax are once other layers have rearranged its output."""

import math

import keras

_ALIKE = (keras.layers.Activation, keras.layers.Dropout, keras.layers.Identity)
_POOLING = (
    keras.layers.AveragePooling1D,
    keras.layers.AveragePooling2D,
    keras.layers.Cropping1D,
    keras.layers.Cropping2D,
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
)


def softmax_axis(layer, rank, outside=0):
    """Returns the axis, from 0, over which a softmax layer sums to 1; None if over several.

    Args:
        layer: A `keras.layers.Softmax`, or another layer with softmax as its activation.
        rank: How many axes its output has.
        outside: How many axes before them `TimeDistributed` layers have put.
    """
    axis = getattr(layer, "axis", -1) if isinstance(layer, keras.layers.Softmax) else -1
    axes = list(axis) if isinstance(axis, list | tuple) else [axis]
    if len(axes) != 1:
        return None
    return axes[0] + outside if axes[0] >= 0 else axes[0] + rank


def axis_after(layer, axis, taken, given):
    """Returns where the class axis is behind a layer that hands scores on.

    Args:
        layer: The layer.
        axis: The class axis of what it takes, from 0.
        taken: The shape of that, batch first; None for a size that is not known.
        given: The shape of what it gives.

    Returns:
        The axis, or None where classes are joined with something else, averaged or cut.
    """
    if isinstance(layer, (*_ALIKE, keras.layers.Average)):
        return axis
    if isinstance(layer, keras.layers.Concatenate):
        return None if layer.axis % len(taken) == axis else axis
    if isinstance(layer, keras.layers.Permute):
        return layer.dims.index(axis) + 1
    channels_first = getattr(layer, "data_format", None) == "channels_first"
    if isinstance(layer, _POOLING):
        if axis != (1 if channels_first else len(taken) - 1):
            return None
        return 1 if channels_first else len(given) - 1
    return None if channels_first else _reshaped(axis, taken, given)


def _reshaped(axis, taken, given):
    """Where an axis is after a reshape that leaves it whole, or None."""
    before, after = taken[1:axis], taken[axis + 1 :]
    for other in range(1, len(given)):
        if given[other] == taken[axis] is not None and (
            _alike(given[other + 1 :], after) or _alike(given[1:other], before)
        ):
            return other
    return None


def _alike(one, other):
    """Whether as many numbers are in both, as far as that is known."""
    return None not in one and None not in other and math.prod(one) == math.prod(other)
