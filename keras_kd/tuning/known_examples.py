"""Whether examples to judge by are among those that were used before."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_kd.features.string_inputs import as_arrays
from keras_kd.teachers.held_out import is_data_set
from keras_kd.teachers.known_examples import digests
from keras_kd.tuning.first_batches import first_batches

_MOST = 5_000  # examples of a data set that are looked at


def known_share(data: Any, used: Any) -> float:
    """Returns the share of the examples of `data` that are in `used`, beyond what chance explains.

    Inputs count, labels do not. Where examples have few features, the same ones come again by
    chance: as often as within `used`, where that is the share of those that are there twice.
    Of data sets the first thousands are looked at, of `used` arrays all.

    Args:
        data: Inputs as arrays, or a data set; its first thousands.
        used: The same.

    Returns:
        A share from 0 to 1; 0 where data are of a kind that cannot be looked at.
    """
    known = collections.Counter(_digests(used, None))
    seen = list(_digests(data, _MOST))
    if not known or not seen:
        return 0.0
    by_chance = 1.0 - sum(count == 1 for count in known.values()) / known.total()
    return max(0.0, sum(each in known for each in seen) / len(seen) - by_chance)


def _digests(data, most) -> Iterator[bytes]:
    """Yields digests of examples: of a data set, and of arrays up to `most`."""
    if is_data_set(data):
        if not (hasattr(data, "take") or isinstance(data, keras.utils.PyDataset)):
            return  # spread over replicas
        most = _MOST
    elif not all(hasattr(leaf, "__array__") for leaf in keras.tree.flatten(as_arrays(data))):
        return  # a loader of another kind, which may be used up
    else:
        data = (keras.tree.map_structure(_array, as_arrays(data)),)
    seen = 0
    for x, _, _ in first_batches(data, most):
        while isinstance(x, dict) and "inputs" in x:  # beside what a TeacherCache has added
            x = x["inputs"]
        found = digests(x)
        yield from found
        seen += len(found)
        if most is not None and seen >= most:
            return


def _array(leaf):
    return keras.ops.convert_to_numpy(leaf) if keras.ops.is_tensor(leaf) else np.asarray(leaf)
