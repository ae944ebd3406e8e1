import keras
import numpy as np
import pytest
from keras import ops

from keras_kd.models.masked_conv1d import MaskedConv1D

pytestmark = [pytest.mark.core, pytest.mark.alike]
WORDS = np.array([[3, 1, 4, 0, 0], [2, 5, 6, 7, 8]])


def test_what_is_real_sees_zeros_where_padding_is():
    embedded = keras.layers.Embedding(9, 4, mask_zero=True)(WORDS)
    layer = MaskedConv1D(6, 3, bias_initializer="ones")
    found = ops.convert_to_numpy(layer(embedded))
    plain = keras.layers.Conv1D(6, 3, padding="same")
    plain.build((None, None, 4))
    plain.set_weights(layer.get_weights())
    for row, count in enumerate((3, 5)):
        alone = ops.convert_to_numpy(plain(embedded[row : row + 1, :count]))
        np.testing.assert_allclose(found[row, :count], alone[0], atol=1e-6)


def test_the_mask_goes_on():
    embedded = keras.layers.Embedding(9, 4, mask_zero=True)(WORDS)
    layers = [MaskedConv1D(6, 3), MaskedConv1D(6, 3, padding="causal", dilation_rate=2)]
    mask = keras.layers.Embedding(9, 4, mask_zero=True).compute_mask(WORDS)
    for layer in layers:
        np.testing.assert_array_equal(layer.compute_mask(embedded, mask), WORDS != 0)


def test_without_a_mask_it_is_the_plain_convolution():
    x = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
    layer, plain = MaskedConv1D(6, 3), keras.layers.Conv1D(6, 3, padding="same")
    expected = ops.convert_to_numpy(plain(x))
    layer.build(x.shape)
    layer.set_weights(plain.get_weights())
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x)), expected)


def test_it_is_made_again_from_its_config():
    layer = MaskedConv1D(6, 3, padding="causal", dilation_rate=2, activation="relu", name="conv")
    again = MaskedConv1D.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert (again.padding, again.dilation_rate, again.supports_masking) == ("causal", (2,), True)


@pytest.mark.parametrize("arguments", [{"strides": 2}, {"padding": "valid"}])
def test_what_would_change_the_length_is_refused(arguments):
    with pytest.raises(ValueError, match="strides=1 and padding 'same' or 'causal'"):
        MaskedConv1D(6, 3, **arguments)
