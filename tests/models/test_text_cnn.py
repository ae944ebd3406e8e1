import keras
import numpy as np
import pytest

from keras_kd.models import text_cnn


def test_shapes_and_layers():
    model = text_cnn(10, 50, 3, width=8, filters=4, windows=(2, 5))
    assert model.get_layer("embedding").output.shape[1:] == (10, 8)
    assert model.get_layer("window2").output.shape[1:] == (9, 4)
    assert model.get_layer("pool").output.shape[1:] == (8,)
    assert model.output_shape == (None, 3)
    assert model.get_layer("embedding").input_dim == 50


def test_vectors_of_padding_are_zeros():
    model = text_cnn(6, 9, 2, width=4, filters=3, windows=(2,), dropout=0.0)
    vectors = keras.Model(model.input, model.get_layer("unpadded").output)
    found = keras.ops.convert_to_numpy(vectors(np.array([[3, 4, 0, 0, 0, 0]])))
    assert np.abs(found[0, :2]).min() > 0.0
    assert not found[0, 2:].any()


@pytest.mark.slow
def test_it_learns_which_words_stand_together():
    # The same words in another order: only a window of two can tell.
    x = np.array([[1, 2, 3, 0], [2, 1, 3, 0]] * 16)
    y = np.array([0, 1] * 16)
    keras.utils.set_random_seed(0)
    model = text_cnn(4, 4, 2, width=8, filters=8, windows=(2,), dropout=0.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-2), loss, metrics=["accuracy"])
    assert model.fit(x, y, epochs=20, verbose=0).history["accuracy"][-1] == 1.0


@pytest.mark.parametrize("windows", [(), (3, 7)])
def test_impossible_windows_are_refused(windows):
    with pytest.raises(ValueError, match=r"Received: windows=\(.*length=6"):
        text_cnn(6, 9, 2, windows=windows)
