import numpy as np
import pytest

import keras_kd.data


def test_arrays_follow_the_order_of_the_split():
    data = keras_kd.data.digits()
    images, labels = data.arrays("validation")
    for index, (image, label) in enumerate(data.validation.take(5).as_numpy_iterator()):
        np.testing.assert_array_equal(images[index], image)
        assert labels[index] == label


def test_a_wrong_split_names_the_splits():
    with pytest.raises(ValueError, match=r"'validation' or 'test'\. Received: split='dev'"):
        keras_kd.data.digits().arrays("dev")
