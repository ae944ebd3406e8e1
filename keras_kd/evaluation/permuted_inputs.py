"""Inputs some of whose values are those of other examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_kd.features.layer_tree import nearest

# An input's name or position (None where there is one array), and the column, None for all of it.
Place = tuple[Any, int | None]


def input_groups(inputs: Any, x: Any) -> dict[str, list[Place]]:
    """Returns what is permuted together, by label.

    Args:
        inputs: See `importance`; None is each column of one array, or each of several inputs.
        x: The inputs of all examples.

    Raises:
        TypeError, ValueError: If there is none, or the data have no such input or column.
    """
    if inputs is None:
        inputs = list(x) if isinstance(x, dict) else list(range(_count(x)))
    if isinstance(inputs, Mapping):
        named = {str(label): each for label, each in inputs.items()}
    elif isinstance(inputs, Sequence) and not isinstance(inputs, str):
        named = {_label(each, x): each for each in inputs}
    else:
        raise TypeError(
            "`inputs` must be a list of columns or names of inputs, or a dict of them by label, "
            f"such as {{'place': [3, 4]}}. Received: inputs={inputs!r}"
        )
    if not named or len(named) < len(inputs):
        raise ValueError(f"`inputs` must be some that differ. Received: inputs={inputs!r}")
    return {
        label: [_place(each, x) for each in (group if isinstance(group, list) else [group])]
        for label, group in named.items()
    }


def with_permuted(x: Any, places: Sequence[Place], order: np.ndarray) -> Any:
    """Returns inputs in which the values at `places` are those of the examples in `order`."""
    by_key = dict(x.items()) if isinstance(x, dict) else dict(enumerate(_listed(x)))
    for key, column in places:
        found = by_key[key]
        if column is None:
            by_key[key] = found[order]
        else:
            by_key[key] = found.copy()
            by_key[key][..., column] = found[order][..., column]
    if isinstance(x, dict):
        return by_key
    values = list(by_key.values())
    return values[0] if not isinstance(x, list | tuple) else type(x)(values)


def _listed(x):
    return list(x) if isinstance(x, list | tuple) else [x]


def _count(x):
    if isinstance(x, list | tuple):
        return len(x)
    return 1 if x.ndim == 1 else x.shape[-1]


def _label(feature, x):
    if isinstance(feature, list):
        return ", ".join(_label(each, x) for each in feature)
    if isinstance(feature, tuple):
        of = feature[0] if isinstance(x, dict) else f"input {feature[0]}"
        return f"column {feature[-1]} of {of}"
    if isinstance(feature, str):
        return feature
    return f"input {feature}" if isinstance(x, list | tuple) else f"column {feature}"


def _place(feature, x):
    """Returns the place of one feature, or says that the data have none such."""
    several = isinstance(x, dict | list | tuple)
    key, column = (feature, None) if several else (0, feature)
    if several and isinstance(feature, tuple) and len(feature) == 2:
        key, column = feature
    keys = list(x) if isinstance(x, dict) else list(range(len(_listed(x))))
    if isinstance(key, bool) or key not in keys:
        hint = nearest(key, keys) if isinstance(key, str) else ""
        raise ValueError(
            f"The data have no such input. Received: inputs={feature!r}.{hint} Available: {keys}"
        )
    array = x[key] if several else x
    if not isinstance(array, np.ndarray):
        shapes = keras.tree.map_structure(np.shape, array)
        raise ValueError(f"One array an input was expected. Received: input {key!r} of {shapes}")
    width = 1 if array.ndim == 1 else array.shape[-1]
    if column is None or (array.ndim == 1 and column == 0):
        return key, None
    is_index = isinstance(column, int | np.integer) and not isinstance(column, bool)
    if not is_index or not 0 <= column < width:
        raise ValueError(
            f"The input has no such column. Received: inputs={feature!r}. Available: columns 0 to "
            f"{width - 1} of the last axis"
        )
    return key, int(column)
