import numpy as np
import pytest

from keras_kd.data import locations


def test_locations_are_the_centres_of_the_cells_level_by_level():
    centres, strides = locations((16, 32), (8, 16))
    np.testing.assert_array_equal(strides, [8.0] * 8 + [16.0] * 2)
    np.testing.assert_array_equal(centres[:5], [[4, 4], [4, 12], [4, 20], [4, 28], [12, 4]])
    np.testing.assert_array_equal(centres[8:], [[8, 8], [8, 24]])


@pytest.mark.parametrize(
    ("size", "strides", "problem"),
    [
        ((16, 30), (8,), "multiple of every stride"),
        ((16, 24), (8, 16), "multiple of every stride"),
        ((16, 32), (16, 8), "must grow"),
        ((16, 32), (8, 8), "must grow"),
        ((16, 32), (), "must grow"),
    ],
)
def test_cells_that_do_not_fit_are_refused(size, strides, problem):
    with pytest.raises(ValueError, match=rf"{problem}.*Received: .*strides="):
        locations(size, strides)
