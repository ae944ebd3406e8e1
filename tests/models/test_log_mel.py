import keras
import numpy as np
import pytest
from models_for_tests import inferred

from keras_kd.models.log_mel import log_mel


def front_end(length=2000, **settings):
    samples = keras.Input((length,))
    return keras.Model(samples, log_mel(samples, **settings))


def tone(frequency, length=2000, loudness=0.5):
    return loudness * np.sin(2 * np.pi * frequency * np.arange(length) / 8000).astype("float32")


def test_shape():
    assert front_end(2000, window=256, stride=128, bands=20).output_shape == (None, 16, 20, 1)


def test_a_higher_tone_is_loudest_in_a_higher_band():
    x = np.stack([tone(frequency) for frequency in (200, 600, 1500, 3000)])
    energies = inferred(front_end(), x)[..., 0].mean(axis=1)
    loudest = energies.argmax(axis=1)
    assert (np.diff(loudest) > 0).all()


def test_an_example_does_not_depend_on_its_batch():
    model, quiet = front_end(), tone(400, loudness=1e-3)
    alone = inferred(model, quiet[None])[0]
    beside = model.predict(np.stack([quiet, tone(900, loudness=1.0)]), verbose=0)[0]
    np.testing.assert_allclose(beside, alone, rtol=1e-4, atol=1e-4)


def test_silence_is_finite():
    assert np.isfinite(front_end().predict(np.zeros((1, 2000)), verbose=0)).all()


@pytest.mark.parametrize("shape", [(100,), (None,), (2000, 1)])
def test_other_samples_are_refused(shape):
    with pytest.raises(ValueError, match=r"\(batch, length\).*Received: shape="):
        log_mel(keras.Input(shape))
