"""A shard is what its place says: of this cache, this view and these examples."""

import shutil

import numpy as np
import pytest
from caching import Lines, numbers
from forging import forge

from keras_kd import TeacherCache

X = numbers(40)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    """Shards of 16 examples: three of each view, the last not full."""
    monkeypatch.setattr("keras_kd.cache.identity._SHARD_EXAMPLES", 16)
    monkeypatch.setattr("keras_kd.cache.identity._BLOCK_EXAMPLES", 4)


@pytest.fixture(scope="module")
def two_caches(tmp_path_factory):
    """Two caches of the same data, which tests copy before they exchange anything."""
    folder = tmp_path_factory.mktemp("caches")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keras_kd.cache.identity._SHARD_EXAMPLES", 16)
        patch.setattr("keras_kd.cache.identity._BLOCK_EXAMPLES", 4)
        labelled(folder / "one"), labelled(folder / "other")
    return folder


def doubled(x, seed):
    return x * 2.0


def labelled(path, views=2):
    cache = TeacherCache(path, Lines(), dtype="float32")
    cache.label(X, augment=doubled, views=views)
    return cache


def pair(folder, view, number):
    name = f"view-{view:03}/shard-{number:05}"
    return folder / f"{name}.tfrecord", folder / f"{name}.json"


def exchange(*places):
    """Exchanges two shards with their seals."""
    for one, other in zip(*(pair(*place) for place in places), strict=True):
        content = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(content)


def of_a_view(folder, other):
    exchange((folder, 0, 0), (folder, 0, 1))


def of_two_views(folder, other):
    for number in range(3):
        exchange((folder, 0, number), (folder, 1, number))


def of_another_cache(folder, other):
    for one, copied in zip(pair(folder, 1, 1), pair(other, 1, 1), strict=True):
        shutil.copy(copied, one)


@pytest.mark.parametrize("how", [of_a_view, of_two_views, of_another_cache])
def test_a_shard_in_another_place_is_refused(tmp_path, two_caches, how):
    shutil.copytree(two_caches, tmp_path, dirs_exist_ok=True)
    how(tmp_path / "one", tmp_path / "other")
    cache = TeacherCache(tmp_path / "one", Lines(), dtype="float32")
    for check in ("all", "start"):
        with pytest.raises(OSError, match=r"another one belongs.*shard-0000\d.*expected \{'cache'"):
            cache.label(X, augment=doubled, views=2, check=check)
    with pytest.raises(OSError, match="another one belongs"):
        cache.answers(1 if how is of_another_cache else 0)


def test_a_cache_of_before_says_what_to_do(tmp_path):
    labelled(tmp_path, views=1)
    forge(tmp_path / "cache.json", lambda header: {**header, "format": 2})
    with pytest.raises(OSError, match=r"another version.*label the data into another folder"):
        TeacherCache(tmp_path, None).answers()


# Augmentations that the first examples do not tell apart.


def seldom(strength):
    def augment(x, seed):
        import tensorflow as tf

        return tf.where(seed[0] % 20 == 19, x + strength, x)

    return augment


def late(x, seed):
    import tensorflow as tf

    return tf.where(seed[1] == 4, x + 1.0, x)


@pytest.mark.parametrize(
    ("one", "other", "views"), [(seldom(1.0), seldom(2.0), 1), (seldom(0.0), late, 5)]
)
def test_an_augmentation_is_known_by_all_examples_and_views(tmp_path, one, other, views):
    cache = TeacherCache(tmp_path, Lines(), dtype="float32")
    cache.label(X, augment=one, views=views)
    for check in ("all", "start"):
        same = cache.label(X, augment=one, views=views, check=check)
        assert len(list(same.as_numpy_iterator())) == len(X)
        said = r"augmentation is not the one.*other views among the ex"
        with pytest.raises(ValueError, match=said):
            cache.label(X, augment=other, views=views, check=check)


def test_what_goes_on_with_another_augmentation_is_refused(tmp_path):
    labelled(tmp_path, views=1)
    for file in pair(tmp_path, 0, 2):
        file.unlink()

    def other(x, seed):
        import tensorflow as tf

        return tf.where(seed[0] < 8, x * 2.0, x * 3.0)

    cache = TeacherCache(tmp_path, Lines(), dtype="float32")
    with pytest.raises(ValueError, match=r"other views among the examples 0 to 15"):
        cache.label(X, augment=other)
    assert np.allclose(
        list(cache.label(X, augment=doubled).map(lambda x: x["inputs"]).as_numpy_iterator()), 2 * X
    )
