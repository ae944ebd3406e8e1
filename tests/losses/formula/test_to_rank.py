import numpy as np
import pytest
from keras import ops

from keras_kd.losses.formula.to_rank import to_rank

pytestmark = pytest.mark.core


def test_weights_with_fewer_axes_keep_their_axes_first():
    assert tuple(to_rank(ops.ones((4,)), 3).shape) == (4, 1, 1)
    assert tuple(to_rank(ops.ones((4, 5)), 3).shape) == (4, 5, 1)


def test_weights_with_more_axes_are_averaged():
    np.testing.assert_allclose(to_rank(ops.array([[1.0, 3.0], [0.0, 1.0]]), 1), [2.0, 0.5])


def test_weights_of_the_same_rank_stay():
    np.testing.assert_array_equal(to_rank(ops.array([1.0, 3.0]), 1), [1.0, 3.0])
