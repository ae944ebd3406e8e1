import keras
import numpy as np
import pytest

from keras_kd.models import vision_transformer


def test_shapes_and_layers():
    model = vision_transformer((28, 28, 1), 10, patch_size=4, width=16, depth=3, heads=2)
    for layer in ("embedding", "tokens1", "tokens2", "tokens3"):
        assert model.get_layer(layer).output.shape[1:] == (49, 16)
    attention = model.get_layer("attention3")
    assert isinstance(attention, keras.layers.MultiHeadAttention)
    assert (attention.num_heads, attention.key_dim) == (2, 8)
    assert model.get_layer("pool").output.shape[1:] == (16,)
    assert model.output_shape == (None, 10)


@pytest.mark.slow
def test_it_learns_where_something_is():
    # Only the positions tell these images apart: the patches are the same.
    x = np.zeros((32, 8, 8, 1), "float32")
    x[:16, :4, :4], x[16:, 4:, 4:] = 255.0, 255.0
    y = np.repeat([0, 1], 16)
    keras.utils.set_random_seed(0)
    model = vision_transformer((8, 8, 1), 2, width=8, depth=1, heads=2)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss, metrics=["accuracy"])
    assert model.fit(x, y, epochs=20, verbose=0).history["accuracy"][-1] == 1.0


@pytest.mark.parametrize(
    "settings",
    [{"input_shape": (28, 28)}, {"input_shape": (28, 30, 1)}, {"width": 30, "heads": 4}],
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match=r"Received: (input_shape|width)="):
        vision_transformer(**{"input_shape": (28, 28, 1), "num_classes": 10, **settings})
