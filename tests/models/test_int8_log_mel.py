import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from models_for_tests import inferred

from keras_kd.export.float32_clone import float32_clone
from keras_kd.models.int8_log_mel import int8_log_mel
from keras_kd.models.log_mel import log_mel


def front_end(make=int8_log_mel, length=2000, **settings):
    samples = keras.Input((length,), name="samples")
    return keras.Model(samples, make(samples, **settings))


def before_norm(**settings):
    model = front_end(**settings)
    return keras.Model(model.input, model.get_layer("norm").input)


def tones(*frequencies, length=2000, loudness=1.0):
    time = np.arange(length) / 8000
    return loudness * np.sin(2 * np.pi * np.array(frequencies)[:, None] * time).astype("float32")


def test_shape_and_fixed_weights():
    model = front_end(window=128, stride=80, bands=20)
    assert model.output_shape == (None, 25, 20, 1)
    assert [weight.path.split("/")[0] for weight in model.trainable_weights] == ["norm"] * 2
    assert sum(weight.shape[-1] for weight in model.trainable_weights) == 40
    assert model.count_params() == 128 * 65 * 2 + 130 * 20 + 4 * 20


def test_a_full_sine_is_about_1():
    loudest = (np.exp(before_norm(floor=0.2).predict(tones(1000.0), verbose=0)) - 1.0) * 0.2
    assert 0.4 < loudest.mean(axis=1).max() < 1.6


def test_silence_is_0_and_loud_is_cut_off():
    model = before_norm(floor=0.02)
    assert not model.predict(np.zeros((1, 2000), "float32"), verbose=0).any()
    loud = model.predict(tones(1000.0, loudness=10.0), verbose=0).max()
    np.testing.assert_allclose(np.exp(loud), 255 / 16, rtol=1e-5)


def test_it_hears_what_the_power_spectrum_hears():
    """Bands and frames stand in the same order in both front ends."""
    x = np.concatenate([tones(200.0, 900.0, 2500.0), tones(400.0) * np.linspace(0, 1, 2000)])
    ours = inferred(front_end(bands=16, window=256, stride=128, floor=0.1), x)
    theirs = inferred(front_end(log_mel, bands=16, floor=1e-1), x)[:, 1:]
    length = min(ours.shape[1], theirs.shape[1])
    ours, theirs = ours[:, :length, :, 0], theirs[:, :length, :, 0]
    np.testing.assert_array_equal(
        ours[:3].mean(axis=1).argmax(axis=1), theirs[:3].mean(axis=1).argmax(axis=1)
    )
    loudness = [energies[3].max(axis=1) for energies in (ours, theirs)]
    assert np.corrcoef(*loudness)[0, 1] > 0.95


def test_weights_survive_saving_and_cloning(tmp_path):
    model, x = front_end(), tones(300.0, 1200.0)
    expected = inferred(model, x)
    model.save(tmp_path / "front.keras")
    for again in (keras.saving.load_model(tmp_path / "front.keras"), float32_clone(model)):
        np.testing.assert_allclose(inferred(again, x), expected, rtol=1e-5, atol=1e-5)


def quantised(model, examples, path):
    """Returns what the int8 file says of the examples."""
    import tensorflow as tf

    model.export(
        str(path),
        format="litert",
        verbose=False,
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=lambda: ({"samples": row[None]} for row in examples),
        target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]},
    )
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    run = interpreter.get_signature_runner()
    return np.stack([next(iter(run(samples=row[None]).values()))[0] for row in examples])


@pytest.mark.slow
def test_8_bits_hear_nearly_the_same_where_the_fft_is_lost(tmp_path):
    random = np.random.default_rng(0)
    x = np.concatenate([tones(*random.uniform(100, 3500, 20)) for _ in range(2)])
    x *= random.uniform(0.02, 1.0, (40, 1)) * np.hanning(2000)
    x = (x / np.abs(x).max(axis=1, keepdims=True)).astype("float32")
    errors = {}
    for make in (int8_log_mel, log_mel):
        model = front_end(make)
        exact = inferred(model, x)
        found = quantised(model, x, tmp_path / f"{make.__name__}.tflite")
        errors[make] = np.sqrt(np.mean((found - exact) ** 2)) / exact.std()
    assert errors[int8_log_mel] < 0.15
    assert errors[log_mel] > 2 * errors[int8_log_mel]


@pytest.mark.slow
def test_8_bits_keep_words_between_silence(tmp_path):
    """A rounded silence once moved every quiet frame the same way, and two decisions of three."""
    random = np.random.default_rng(0)
    x = np.concatenate([tones(*random.uniform(100, 3500, 20)) for _ in range(2)])
    x[:, 800:] = 0.0
    model = front_end()
    found = quantised(model, x, tmp_path / "front.tflite")
    error = (found - inferred(model, x))[:, 12:]
    # One step of 256 over what `norm` gives for the sound.
    assert np.abs(error).max() < np.ptp(found) / 255


@pytest.mark.parametrize("shape", [(None,), (2000, 1)])
def test_other_samples_are_refused(shape):
    with pytest.raises(ValueError, match=r"\(batch, length\).*Received: shape="):
        int8_log_mel(keras.Input(shape))


@pytest.mark.parametrize("floor", [0.0, -1.0, float("nan")])
def test_a_floor_must_be_above_0(floor):
    with pytest.raises(ValueError, match="`floor` must be an amplitude above 0"):
        int8_log_mel(keras.Input((2000,)), floor=floor)


def test_bands_without_a_frequency_are_refused():
    with pytest.raises(ValueError, match=r"bands hold no frequency.*bands=60, window=128"):
        int8_log_mel(keras.Input((2000,)), bands=60)
