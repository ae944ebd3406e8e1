import keras
import numpy as np
import pytest

from keras_kd.data import pad_tags

pytestmark = pytest.mark.core


def test_sentences_are_padded_with_the_ignore_label_or_cut():
    found = pad_tags([[1, 0, 2], [], [2]], 2, num_tags=3, ignore_label=255)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, [[1, 0], [255, 255], [2, 255]])


def test_losses_take_the_label_for_padding():
    logits = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    tags = [[1, 0, 2], [2]]
    found = float(loss(pad_tags(tags, 4, num_tags=3), logits))
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    real = [log_p[row, place, tag] for row, of in enumerate(tags) for place, tag in enumerate(of)]
    assert found == pytest.approx(-np.mean(real), rel=1e-5)


@pytest.mark.parametrize("label", [0, 2])
def test_an_ignore_label_that_is_a_tag_is_refused(label):
    with pytest.raises(ValueError, match=rf"tags are 0 to 2.*Received: ignore_label={label}"):
        pad_tags([[1]], 2, num_tags=3, ignore_label=label)


@pytest.mark.parametrize("tag", [3, -1])
def test_a_tag_that_is_outside_is_refused_wherever_it_is(tag):
    with pytest.raises(ValueError, match=rf"from 0 to 2. Received: {tag} in sentence 1"):
        pad_tags([[1], [0, 0, tag]], 2, num_tags=3)
