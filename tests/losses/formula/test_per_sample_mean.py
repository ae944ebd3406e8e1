import numpy as np
import pytest
from every_loss import draw
from keras import ops

from keras_kd.losses.formula.per_sample_mean import per_sample_mean

pytestmark = [pytest.mark.core, pytest.mark.alike]


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4), (2, 3, 4, 5)])
def test_without_a_mask_each_sample_gets_its_own_mean(shape):
    values, _ = draw(shape)
    expected = [sample.mean() for sample in values]
    np.testing.assert_allclose(per_sample_mean(ops.array(values, "float32")), expected, rtol=1e-4)


def test_values_that_are_one_a_sample_stay():
    np.testing.assert_array_equal(per_sample_mean(ops.array([1.0, 2.0])), [1.0, 2.0])
    masked = per_sample_mean(ops.array([1.0, 2.0]), np.array([False, True]))
    np.testing.assert_array_equal(masked, [0.0, 2.0])


@pytest.mark.parametrize("mask_rank", [2, 3])
def test_masked_positions_do_not_count(mask_rank):
    values, _ = draw((3, 3, 3, 2))
    mask = np.random.default_rng(1).random((3, 3, 3)[:mask_rank]) > 0.3
    expected = [sample[kept].mean() for sample, kept in zip(values, mask, strict=True)]
    means = per_sample_mean(ops.array(values, "float32"), mask)
    np.testing.assert_allclose(means, expected, rtol=1e-4)


def test_a_sample_that_is_all_padding_counts_zero():
    mask = np.array([[True, True], [False, False]])
    np.testing.assert_array_equal(per_sample_mean(ops.ones((2, 2, 4)), mask), [1.0, 0.0])


@pytest.mark.parametrize("mask", [(2, 4), (2, 3, 5, 1), (3, 3), (2, 3, 5, 1, 1)])
def test_a_mask_that_does_not_fit_is_refused(mask):
    with pytest.raises(ValueError, match=r"first axes.*Received: mask=.*values=\(2, 3, 5, 4\)"):
        per_sample_mean(ops.ones((2, 3, 5, 4)), np.ones(mask, bool))
