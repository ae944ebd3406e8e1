import keras
import numpy as np

from keras_kd.models import text_bilstm


def test_shapes_and_layers():
    model = text_bilstm(10, 50, 3, width=8, units=5, hidden=7)
    assert model.get_layer("embedding").output.shape[1:] == (10, 8)
    assert model.get_layer("pool").output.shape[1:] == (10,)
    assert model.get_layer("hidden").output.shape[1:] == (7,)
    assert model.output_shape == (None, 3)
    assert model.count_params() == 50 * 8 + 2 * 4 * 5 * (8 + 5 + 1) + 11 * 7 + 8 * 3


def test_padding_changes_nothing():
    keras.utils.set_random_seed(0)
    short, long = text_bilstm(4, 9, 2), text_bilstm(12, 9, 2)
    long.set_weights(short.get_weights())
    tokens = np.array([[3, 4, 5, 0], [1, 2, 3, 4]])
    outputs = [
        keras.ops.convert_to_numpy(model(np.pad(tokens, ((0, 0), (0, extra)))))
        for model, extra in ((short, 0), (long, 8))
    ]
    np.testing.assert_allclose(*outputs, atol=1e-6)
    assert np.abs(outputs[0][0] - outputs[0][1]).max() > 1e-4
