import numpy as np
import tensorflow as tf

from keras_kd.demo.augmentation import Augmentation


def looks(augment, image, count=60):
    return [augment(image, tf.constant([seed, 0])).numpy() for seed in range(count)]


def test_images_are_shifted_by_an_eighth_at_most_and_black_moves_in():
    image = tf.constant(np.arange(1.0, 257.0, dtype="float32").reshape(16, 16, 1))
    seen = set()
    for look in looks(Augmentation(flips=False, black=-1.0), image):
        found = np.argwhere(look[..., 0] == 120.0)  # row 7, column 7
        seen.add(tuple(found[0] - 7))
        assert np.abs(found[0] - 7).max() <= 2
        down, right = found[0] - 7
        moved = np.roll(image[..., 0], (down, right), (0, 1))
        assert set(look[..., 0][look[..., 0] != moved]) <= {-1.0}
    assert len(seen) > 10


def test_mirrored_images_are_as_many_as_others_and_only_where_asked_for():
    image = tf.constant(np.tile(np.arange(16.0, dtype="float32")[None, :, None], (16, 1, 1)))
    mirrored = [look[8, 4, 0] > look[8, 5, 0] for look in looks(Augmentation(flips=True), image)]
    assert 15 < sum(mirrored) < 45
    plain = looks(Augmentation(flips=False), image, 10)
    assert not any(look[8, 4, 0] > look[8, 5, 0] for look in plain)


def test_the_same_seed_gives_the_same_look():
    image = tf.random.uniform((8, 8, 3))
    one, other = (looks(Augmentation(flips=True), image, 3) for _ in range(2))
    np.testing.assert_array_equal(one, other)
