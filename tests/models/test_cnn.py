import keras
import numpy as np
import pytest
from models_for_tests import inferred

from keras_kd.models import cnn


def images(shape, count=3):
    return np.random.default_rng(0).integers(0, 256, (count, *shape)).astype("float32")


@pytest.mark.parametrize(
    ("shape", "settings", "parameters"),
    [
        # convolutions without bias, four numbers a channel for BatchNormalization, the logits
        ((8, 8, 1), {"width": 4, "stages": 2}, 9 * 4 + 16 + 9 * 32 + 32 + 10 * 9),
        (
            (32, 32, 3),
            {"width": 8, "stages": 1, "depth": 2},
            9 * 3 * 8 + 32 + 9 * 64 + 32 + 10 * 9,
        ),
    ],
)
def test_shapes_and_parameter_counts(shape, settings, parameters):
    model = cnn(shape, 10, **settings)
    assert model(images(shape)).shape == (3, 10)
    assert model.count_params() == parameters


def test_stages_halve_the_size_and_double_the_width():
    model = cnn((16, 16, 3), 10, width=8, stages=3, depth=2)
    shapes = [model.get_layer(f"stage{stage}").output.shape[1:] for stage in (1, 2, 3)]
    assert shapes == [(16, 16, 8), (8, 8, 16), (4, 4, 32)]
    assert model.get_layer("pool").output.shape[1:] == (32,)


def test_a_stage_returns_after_its_last_relu():
    model = cnn((16, 16, 3), 10, stages=2, depth=2)
    assert [layer.name for layer in model.layers[2:]] == [
        "stage1_conv1",
        "stage1_norm1",
        "stage1_relu1",
        "stage1_conv2",
        "stage1_norm2",
        "stage1",
        "stage2_conv1",
        "stage2_norm1",
        "stage2_relu1",
        "stage2_conv2",
        "stage2_norm2",
        "stage2",
        "pool",
        "logits",
    ]


def test_outputs_are_logits():
    assert cnn((8, 8, 1), 10).get_layer("logits").activation is keras.activations.linear


def test_the_smallest_image_goes_through():
    assert cnn((1, 1, 1), 2, stages=4)(images((1, 1, 1))).shape == (3, 2)


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        ((8, 8), {}, r"\(height, width, channels\). Received: input_shape=\(8, 8\)"),
        ((8, 8, 1), {"stages": 0}, "Received: stages=0, depth=1"),
        ((8, 8, 1), {"depth": 0}, "Received: stages=3, depth=0"),
    ],
)
def test_wrong_settings_are_refused(shape, settings, message):
    with pytest.raises(ValueError, match=message):
        cnn(shape, 10, **settings)


def test_a_saved_model_answers_the_same(tmp_path):
    model = cnn((8, 8, 1), 10, width=4, dropout=0.5)
    model.save(tmp_path / "cnn.keras")
    again = keras.models.load_model(tmp_path / "cnn.keras")
    x = images((8, 8, 1))
    np.testing.assert_array_equal(inferred(again, x), inferred(model, x))
