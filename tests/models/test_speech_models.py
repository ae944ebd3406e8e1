import keras
import numpy as np
import pytest
from models_for_tests import inferred

from keras_kd.models import speech_cnn, speech_ds_cnn


def test_stages_halve_time_and_frequency():
    model = speech_cnn(4096, 10, width=4, stages=3)
    shapes = [model.get_layer(f"stage{stage}").output.shape[1:] for stage in (1, 2, 3)]
    assert shapes == [(17, 20, 4), (9, 10, 8), (5, 5, 16)]
    assert model.get_layer("pool").output.shape[1:] == (16,)
    assert model.output_shape == (None, 10)


def test_every_second_block_halves_time_and_frequency():
    model = speech_ds_cnn(4000, 10, widths=(4, 6, 8, 10))
    shapes = [model.get_layer(name).output.shape[1:] for name in ("stem", "block1", "block2")]
    assert shapes == [(25, 12, 4), (25, 12, 6), (13, 6, 8)]
    assert model.get_layer("pool").output.shape[1:] == (10,)


def test_the_default_student_is_under_30_000_parameters():
    assert speech_ds_cnn(8000, 10).count_params() < 30_000


@pytest.mark.slow
@pytest.mark.parametrize("make", [speech_cnn, speech_ds_cnn])
def test_it_learns_to_tell_tones_apart_and_is_saved(make, tmp_path):
    time = np.arange(1000) / 8000
    pitch = np.random.default_rng(0).uniform(0, 200, 64) + np.tile([300, 1500], 32)
    x = (0.3 * np.sin(2 * np.pi * pitch[:, None] * time)).astype("float32")
    y = np.tile([0, 1], 32)
    model = make(1000, 2)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss, metrics=["accuracy"], jit_compile=False)
    model.fit(x, y, batch_size=8, epochs=5, verbose=0)
    answers = inferred(model, x)
    assert (answers.argmax(-1) == y).mean() > 0.95
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(inferred(again, x), answers, rtol=1e-5, atol=1e-5)


def test_impossible_sizes_are_refused():
    with pytest.raises(ValueError, match=r"Received: stages=0"):
        speech_cnn(4096, 10, stages=0)
    with pytest.raises(ValueError, match=r"Received: widths=\(8,\)"):
        speech_ds_cnn(4096, 10, widths=(8,))
