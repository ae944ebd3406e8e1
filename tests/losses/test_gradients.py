"""The tests' own check of gradients lets no wrong one through."""

import numpy as np
import pytest
from gradients import assert_gradient, gradient
from keras import ops

pytestmark = pytest.mark.core
X = np.random.default_rng(1).normal(size=(2, 3))


def test_a_right_gradient_passes():
    assert_gradient(lambda x: ops.sum(ops.tanh(x) ** 2) / 6.0, X)


@pytest.mark.parametrize("coordinate", range(X.size))
def test_a_term_without_its_gradient_is_seen_in_every_coordinate(coordinate):
    # A hundredth of what the coordinate does to the sum is kept from the gradient.
    share = 0.01 * np.eye(X.size)[coordinate].reshape(X.shape)

    def detached(x):
        kept, y = ops.convert_to_tensor(share, x.dtype), ops.tanh(x)
        return ops.sum((1.0 - kept) * y + kept * ops.stop_gradient(y))

    with pytest.raises(AssertionError):
        assert_gradient(detached, X)


def test_what_is_not_connected_has_a_gradient_of_zeros():
    np.testing.assert_array_equal(gradient(lambda x: ops.stop_gradient(ops.sum(x)), X), 0.0 * X)
    assert gradient(lambda x: ops.convert_to_tensor(2.0), X).shape == X.shape
