"""Nests and arrays as they are written and read."""

import json

import numpy as np
import pytest

from keras_kd.cache.components import Component, describe, rebuild

pytestmark = [pytest.mark.core, pytest.mark.alike]


@pytest.mark.parametrize(
    "nest",
    [7, (7,), {"b": 7, "a": (8, {"c": 9})}, ((7, 8), {"dict": 9, "tuple": (1, 2)}), {}],
    ids=str,
)
def test_a_nest_comes_back_out_of_json(nest):
    description, leaves = describe(nest)
    assert rebuild(json.loads(json.dumps(description)), leaves) == nest


def test_lists_come_back_as_tuples():
    assert rebuild(*describe([1, [2]])) == (1, (2,))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "uint8", "uint16", "int32"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)], ids=str)
def test_arrays_come_back_in_what_they_are_read_as(dtype, shape):
    values = np.arange(4 * np.prod(shape, dtype=int)).reshape(4, *shape)
    read_as = "float32" if "float" in dtype else "int32"
    component = Component(shape, dtype, read_as)
    content = component.encode(values)
    assert len(content) == 4 * component.size
    found = component.decode(content)
    assert found.dtype == read_as
    np.testing.assert_array_equal(found, values)
    again = Component(**{**component.config(), "shape": tuple(component.config()["shape"])})
    assert again == component
