import numpy as np
import pytest
from every_loss import draw
from gradients import assert_gradient, gradient
from keras import ops

from keras_kd.losses.formula.unit_norm import unit_norm

pytestmark = pytest.mark.core


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_vectors_of_any_length_come_out_with_length_1(scale):
    values, _ = draw((4, 5))
    expected = values / np.linalg.norm(values, axis=1, keepdims=True)
    unit = unit_norm(ops.array(scale * values, "float32"), -1)
    np.testing.assert_allclose(unit, expected, rtol=1e-5)


def test_the_norm_runs_over_all_the_axes_named():
    values, _ = draw((2, 3, 4))
    unit = ops.convert_to_numpy(unit_norm(ops.array(values, "float32"), (1, 2)))
    np.testing.assert_allclose(np.linalg.norm(np.reshape(unit, (2, 12)), axis=1), 1.0, rtol=1e-5)


def test_zeros_stay_zero_with_a_finite_gradient():
    zeros = np.zeros((2, 3))
    np.testing.assert_array_equal(unit_norm(ops.array(zeros, "float32"), -1), zeros)
    slope = gradient(lambda x: ops.sum(unit_norm(x, -1)), zeros, "float32")
    assert np.isfinite(slope).all()


def test_gradient_equals_central_differences():
    values, weights = draw((2, 3))
    assert_gradient(
        lambda x: ops.sum(ops.convert_to_tensor(weights) * unit_norm(ops.cast(x, "float64"), -1)),
        values,
    )
