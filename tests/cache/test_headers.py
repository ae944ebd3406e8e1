"""Descriptions that a stranger has altered are refused in words, and nothing else happens."""

import json

import keras
import numpy as np
import pytest
from forging import altered, forge

from keras_kd import TeacherCache

X = np.eye(4, dtype="float32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, name="h"), keras.layers.Dense(5)]
    )
    folder = tmp_path_factory.mktemp("cache")
    TeacherCache(folder, model, top_k=2, layers=["h"]).label(X)
    return folder


@pytest.fixture(params=["cache.json", "examples.json", "view-000/shard-00000.json"])
def description(folder, request):
    """A file, and what stands in it before and after the test."""
    file = folder / request.param
    before = file.read_text()
    yield file, json.loads(before)["content"]
    file.write_text(before)


def refused(action):
    """Whether an action raises an error in words; anything but an error is returned."""
    try:
        return action()
    except (OSError, ValueError) as error:
        assert "Received: " in str(error), repr(error)
        return None


def test_what_is_altered_is_refused(folder, description):
    file, content = description
    cache = TeacherCache(folder, None, top_k=2, layers=["h"])
    known = cache.answers()
    tried = 0
    for what, other in altered(content):
        forge(file, lambda _, other=other: other)
        found = refused(TeacherCache(folder, None, top_k=2, layers=["h"]).answers)
        # A seal may hold what nothing asks of it.
        assert found is None or what.split("'")[1] in ("seen", "content"), what
        refused(lambda: cache.complete)
        refused(lambda: cache.bytes_per_example)
        if tried % 10 == 0:
            refused(lambda: TeacherCache(folder, None, top_k=2, layers=["h"]).label(X))
        tried += 1
    assert tried >= (15 if file.name == "examples.json" else 60)
    forge(file, lambda _: content)
    np.testing.assert_array_equal(cache.answers()["index"], known["index"])


def test_a_header_of_many_views_costs_no_time(folder):
    before = (folder / "cache.json").read_text()

    def many(header):
        return {**header, "settings": {**header["settings"], "views": 10**6}}

    forge(folder / "cache.json", many)
    try:
        with pytest.raises(OSError, match="another one belongs"):
            assert TeacherCache(folder, None).complete
        (folder / "view-000" / "shard-00000.json").rename(folder / "seal")
        assert not TeacherCache(folder, None).complete
    finally:
        (folder / "seal").rename(folder / "view-000" / "shard-00000.json")
        (folder / "cache.json").write_text(before)
