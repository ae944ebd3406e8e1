import numpy as np
import pytest

from keras_kd.losses.formula.given_values import GivenValues

pytestmark = pytest.mark.core

VALUES = np.array([[1.0, 2.0], [3.0, 6.0]])


@pytest.mark.parametrize(
    ("reduction", "expected"),
    # Weights 1 and 0.5 a row leave 1, 2, 1.5 and 3: 7.5 in all, 4 values, weights that sum to 3.
    [
        ("sum", 7.5),
        ("sum_over_batch_size", 7.5 / 4),
        ("mean", 7.5 / 4),
        ("mean_with_sample_weight", 7.5 / 3),
        (None, [[1.0, 2.0], [1.5, 3.0]]),
        ("none", [[1.0, 2.0], [1.5, 3.0]]),
    ],
)
def test_values_are_reduced_as_every_keras_loss_does(reduction, expected):
    weights = np.array([[1.0, 1.0], [0.5, 0.5]])
    reduced = GivenValues(reduction=reduction)(VALUES, VALUES, weights)
    np.testing.assert_allclose(reduced, expected, rtol=1e-6)
