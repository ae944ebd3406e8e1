import keras
import numpy as np
import pytest
from keras import ops
from variants import of_compiled_steps

from keras_kd.losses import FitNetLoss, RegressionLoss
from keras_kd.losses.formula.keras_mask import keras_mask

pytestmark = pytest.mark.core

TOKENS = np.array([[3, 1, 0, 0], [2, 0, 0, 0]])


def compiled(function):
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(function, autograph=False)


def test_the_mask_of_an_embedding_is_found():
    embedded = keras.layers.Embedding(5, 3, mask_zero=True)(TOKENS)
    np.testing.assert_array_equal(keras_mask(embedded), TOKENS != 0)


@pytest.mark.parametrize("value", [np.ones((2, 3)), [[1.0]], None], ids=["array", "list", "none"])
def test_what_no_layer_gave_has_no_mask(value):
    assert keras_mask(value) is None


def test_a_tensor_without_a_mask_has_none():
    assert keras_mask(ops.ones((2, 3))) is None


def test_reading_a_mask_does_not_warn_that_it_ends_here(recwarn):
    keras_mask(keras.layers.Embedding(5, 3, mask_zero=True)(TOKENS))
    assert not [str(warning.message) for warning in recwarn if "mask" in str(warning.message)]


@of_compiled_steps
@pytest.mark.parametrize("loss", [RegressionLoss(), FitNetLoss()], ids=lambda loss: loss.name)
def test_padding_does_not_count_in_a_compiled_step_either(loss):
    layers = [keras.layers.Embedding(5, 3, mask_zero=True) for _ in range(2)]
    for layer in layers:
        layer.build(None)

    def step(tokens):
        return loss(*[layer(tokens) for layer in layers])

    short, long = TOKENS[:, :2], TOKENS
    assert float(compiled(step)(short)) == pytest.approx(float(step(long)), rel=1e-5)
    assert float(compiled(step)(long)) == pytest.approx(float(step(long)), rel=1e-5)
