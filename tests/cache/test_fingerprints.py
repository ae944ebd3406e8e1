"""What a digest of data tells apart, and what not."""

import numpy as np
import pytest
import tensorflow as tf

from keras_kd.cache.fingerprints import ContentDigest, content_digest

pytestmark = [pytest.mark.core, pytest.mark.alike]


def in_batches(data, size):
    digest = ContentDigest()
    for start in range(0, 12, size):
        digest.update({name: leaf[start : start + size] for name, leaf in data.items()})
    return digest.hexdigest()


TEXTS = np.array([f"text {i % 5}" * (i % 3) for i in range(12)], object)
DATA = {"a": np.arange(24.0).reshape(12, 2), "b": TEXTS}


def test_examples_are_the_same_in_batches_of_any_size():
    assert len({in_batches(DATA, size) for size in (1, 5, 12)}) == 1
    tensors = {"a": tf.constant(DATA["a"]), "b": tf.constant(list(TEXTS))}
    assert content_digest(tensors) == in_batches(DATA, 12)


@pytest.mark.parametrize(
    "other",
    [
        {**DATA, "a": DATA["a"][::-1]},
        {**DATA, "a": DATA["a"].astype("float32")},
        {**DATA, "a": DATA["a"][:, :, None]},
        {**DATA, "b": TEXTS[::-1]},
        {"a": DATA["a"]},
    ],
)
def test_other_examples_are_told_apart(other):
    assert content_digest(other) != content_digest(DATA)


def test_where_one_text_ends_and_another_begins_counts():
    one, other = (content_digest(np.array(texts, object)) for texts in (["ab", "c"], ["a", "bc"]))
    assert one != other
