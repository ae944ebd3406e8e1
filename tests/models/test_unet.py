import keras
import numpy as np
import pytest
from models_for_tests import inferred

from keras_kd.models import unet


def test_it_answers_at_every_pixel():
    model = unet((16, 24, 3), 4, width=4, depth=2)
    assert model.output_shape == (None, 16, 24, 4)
    shapes = {
        name: model.get_layer(name).output.shape[1:]
        for name in ("encoder1", "encoder2", "bottom", "decoder2", "decoder1")
    }
    assert shapes == {
        "encoder1": (16, 24, 4),
        "encoder2": (8, 12, 8),
        "bottom": (4, 6, 16),
        "decoder2": (8, 12, 8),
        "decoder1": (16, 24, 4),
    }


def test_the_decoder_sees_what_the_encoder_saw_at_that_size():
    model = unet((8, 8, 1), 2, width=2, depth=1)
    beside = model.get_layer("decoder1_beside")
    assert beside.input[0] is model.get_layer("encoder1").output
    # 2 from across and 4 from below into 2: 3 * 3 * 6 * 2.
    assert model.get_layer("decoder1_conv1").kernel.shape == (3, 3, 6, 2)


@pytest.mark.slow
def test_it_learns_which_pixels_are_bright_and_answers_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = unet((8, 8, 1), 2, width=4, depth=1)
    x = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 1)).astype("float32")
    model.compile(
        keras.optimizers.Adam(1e-2),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(x, x > 127.0, epochs=30, verbose=0)
    assert np.mean(inferred(model, x).argmax(-1) == (x[..., 0] > 127.0)) > 0.9
    assert keras.backend.standardize_dtype(model(x).dtype) == "float32"


@pytest.mark.parametrize(
    "settings",
    [
        {"input_shape": (16, 16)},
        {"input_shape": (16, 20, 3)},
        {"input_shape": (16, 16, 3), "depth": 0},
    ],
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match="Received: input_shape="):
        unet(num_classes=2, **settings)
