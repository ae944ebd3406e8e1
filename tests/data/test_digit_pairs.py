import numpy as np
import pytest

from keras_kd.data import digit_pairs

# Image n is a square of the value n + 1; its class is n.
IMAGES = np.ones((4, 3, 3, 1), "float32") * np.arange(1, 5, dtype="float32")[:, None, None, None]
LABELS = np.arange(4)


def test_targets_name_the_two_digits_that_are_there():
    pictures, targets = digit_pairs(IMAGES, LABELS, 50, seed=0, size=20)
    assert (pictures.shape, pictures.dtype) == ((50, 20, 20, 1), np.float32)
    assert (targets.shape, targets.dtype) == ((50, 4), np.float32)
    np.testing.assert_array_equal(targets.sum(axis=1), 2.0)
    for picture, target in zip(pictures, targets, strict=True):
        faint, bright = np.flatnonzero(target) + 1
        assert (picture == bright).sum() == 9  # the brighter one hides the other
        assert set(np.unique(picture)) <= {0, faint, bright}
    assert sum((pictures[i] == n + 1).any() for i in range(50) for n in range(4)) > 95


def test_every_class_and_many_places_are_drawn():
    pictures, targets = digit_pairs(IMAGES, LABELS, 200, seed=0, size=6)
    assert targets.sum(axis=0).min() > 50
    assert (pictures.max(axis=0) > 0).all()


def test_a_seed_gives_the_same_pictures():
    first, again, other = (digit_pairs(IMAGES, LABELS, 5, seed=seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_size_is_half_as_large_again_by_default():
    assert digit_pairs(IMAGES, LABELS, 1, seed=0)[0].shape == (1, 5, 5, 1)


@pytest.mark.parametrize(
    ("images", "labels", "arguments", "message"),
    [
        (IMAGES[..., 0], LABELS, {}, r"images of shape \(4, 3, 3\)"),
        (IMAGES, LABELS[:3], {}, r"labels of shape \(3,\)"),
        (IMAGES, np.zeros(4, int), {}, r"Received: classes=\[0\], count=5"),
        (IMAGES, LABELS, {"count": 0}, r"count=0"),
        (IMAGES, LABELS, {"size": 2}, r"room for an image of 3x3. Received: size=2"),
    ],
)
def test_what_makes_no_pairs_is_refused(images, labels, arguments, message):
    with pytest.raises(ValueError, match=message):
        digit_pairs(images, labels, **{"count": 5, "seed": 0, **arguments})
