import numpy as np
import pytest
from keras import ops

from keras_kd.losses.formula.resample import average_to, max_to, nearest_to

pytestmark = [pytest.mark.core, pytest.mark.alike]


def test_averages_of_whole_blocks_and_of_overlapping_windows():
    value = np.arange(6.0).reshape(1, 6, 1)
    assert np.ravel(ops.convert_to_numpy(average_to(value, (3,)))).tolist() == [0.5, 2.5, 4.5]
    # 6 to 4: windows 0-1, 1-2, 3-4, 4-5
    given = np.ravel(ops.convert_to_numpy(average_to(value, (4,))))
    np.testing.assert_allclose(given, [0.5, 1.5, 3.5, 4.5])


def test_each_axis_of_a_map_has_its_own_size():
    value = np.random.default_rng(0).normal(size=(2, 4, 6, 3))
    expected = value.reshape(2, 2, 2, 3, 2, 3).mean(axis=(2, 4))
    given = ops.convert_to_numpy(average_to(value, (2, 3)))
    np.testing.assert_allclose(given, expected, atol=1e-6)


def test_padding_is_not_averaged():
    value = np.array([[[1.0], [3.0], [5.0], [900.0], [900.0], [900.0]]], "float32")
    keep = np.array([[[1.0], [1.0], [1.0], [0.0], [0.0], [0.0]]], "float32")
    given = np.ravel(ops.convert_to_numpy(average_to(value, (3,), keep)))
    np.testing.assert_allclose(given, [2.0, 5.0, 0.0], rtol=1e-6)


def test_nearest_repeats_or_leaves_out():
    value = np.arange(2.0).reshape(1, 2, 1)
    assert np.ravel(ops.convert_to_numpy(nearest_to(value, (4,)))).tolist() == [0, 0, 1, 1]
    value = np.arange(5.0).reshape(1, 5, 1)
    assert np.ravel(ops.convert_to_numpy(nearest_to(value, (2,)))).tolist() == [0, 2]


def test_maxima_of_windows():
    value = np.array([1.0, 7.0, 3.0, 2.0, 9.0], "float32").reshape(1, 5, 1)
    assert np.ravel(ops.convert_to_numpy(max_to(value, (3,)))).tolist() == [7.0, 3.0, 9.0]
    assert max_to(value, (5,)) is value
    with pytest.raises(ValueError, match="No max pooling leads from size 5 to size 4"):
        max_to(value, (4,))
