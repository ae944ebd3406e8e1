import keras
import numpy as np
import pytest

from keras_kd.models import resnet


@pytest.mark.parametrize(
    ("depth", "parameters"),
    [
        # He et al., table 6, give 0.27M for depth 20 and 0.85M for depth 56, with shortcuts that
        # have no weights (option A). Option B adds two 1x1 convolutions, 16 * 32 + 32 * 64 = 2560;
        # the moving statistics of BatchNormalization count here too.
        (20, 0.27e6),
        (56, 0.85e6),
    ],
)
def test_it_has_the_parameters_of_the_paper(depth, parameters):
    model = resnet((32, 32, 3), 10, depth=depth)
    trained = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trained - 2560 - 2 * (32 + 64) == pytest.approx(parameters, rel=0.02)
    convolutions = [x for x in model.layers if isinstance(x, keras.layers.Conv2D)]
    assert len(convolutions) - 2 + 1 == depth  # without the shortcuts, with the last Dense


def test_stages_halve_the_size_and_double_the_width():
    model = resnet((32, 32, 3), 10)
    shapes = [model.get_layer(f"stage{stage}").output.shape[1:] for stage in (1, 2, 3)]
    assert shapes == [(32, 32, 16), (16, 16, 32), (8, 8, 64)]
    assert model.get_layer("stage3_add").output.shape[1:] == (8, 8, 64)
    assert model.get_layer("pool").output.shape[1:] == (64,)


@pytest.mark.slow
def test_it_trains_in_mixed_precision_and_answers_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = resnet((8, 8, 1), 3, width=4)
    x = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 1)).astype("float32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss)
    losses = model.fit(x, np.arange(12) % 3, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert keras.backend.standardize_dtype(model(x).dtype) == "float32"


@pytest.mark.parametrize(
    "settings",
    [
        {"input_shape": (32, 32)},
        {"input_shape": (32, 32, 3), "depth": 10},
        {"input_shape": (32, 32, 3), "depth": 2},
    ],
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match=r"Received: (input_shape|depth)="):
        resnet(num_classes=10, **settings)
