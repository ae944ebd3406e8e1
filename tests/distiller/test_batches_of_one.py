"""Losses that compare samples with each other, and batches that hold one sample."""

import keras
import numpy as np
import pytest
from models_for_tests import EAGER, cross_entropy, examples, net, numbers
from variants import first_of

from keras_kd import Distiller
from keras_kd.losses import CCLoss, PKTLoss, RKDLoss, SPLoss

pytestmark = pytest.mark.core
LAYERS = {"hidden": "hidden"}
RELATIONS = [RKDLoss, SPLoss, CCLoss, PKTLoss]


def distiller(loss, **kwargs):
    losses = {"kd_loss": None, "feature_losses": [loss]}
    model = Distiller(net(3), net(5, seed=1), alpha=0.0, **{**losses, **kwargs})
    model.compile(keras.optimizers.SGD(0.1), cross_entropy(), **EAGER)
    return model


def of_fixed_batch(size, width):
    inputs = keras.Input(batch_shape=(size, 4))
    hidden = keras.layers.Dense(width, "tanh", name="hidden")(inputs)
    return keras.Model(inputs, keras.layers.Dense(3, name="scores")(hidden))


@pytest.mark.parametrize("cls", RELATIONS)
def test_a_model_of_one_sample_a_batch_is_refused(cls):
    with pytest.raises(ValueError, match=rf"{cls.__name__} compares.*at least 2.*size 1"):
        Distiller(of_fixed_batch(1, 3), net(5), feature_losses=[cls(layers=LAYERS)])
    Distiller(of_fixed_batch(2, 3), net(5), feature_losses=[cls(layers=LAYERS)])


def test_a_model_of_one_sample_a_batch_is_refused_for_outputs_too():
    with pytest.raises(ValueError, match=r"SPLoss compares.*Received: batch size 1"):
        Distiller(of_fixed_batch(1, 3), net(5), kd_loss=SPLoss())


@pytest.mark.parametrize("cls", [RKDLoss, CCLoss])
def test_fitting_sample_by_sample_is_refused(cls):
    x, y = examples(4)
    model = distiller(cls(layers=LAYERS))
    message = rf"{cls.__name__} compares.*Received: batch size 1"
    with pytest.raises(ValueError, match=message):
        model.fit(x, y, batch_size=1, verbose=0)
    with pytest.raises(ValueError, match=message):
        model.fit(x, y, 1, verbose=0)
    assert int(model.batches_seen) == 0


def test_fitting_outputs_sample_by_sample_is_refused():
    x, y = examples(4)
    model = distiller(None, kd_loss=PKTLoss(), feature_losses=())
    with pytest.raises(ValueError, match=r"PKTLoss compares.*Received: batch size 1"):
        model.fit(x, y, batch_size=1, verbose=0)


@pytest.mark.parametrize("size", [1, 2])
def test_a_data_set_that_tells_its_batch_size_is_checked(size):
    tf = pytest.importorskip("tensorflow")
    x, y = examples(4)
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(size, drop_remainder=True)
    model = distiller(SPLoss(layers=LAYERS))
    if size == 1:
        with pytest.raises(ValueError, match=r"SPLoss compares.*Received: batch size 1"):
            model.fit(data, verbose=0)
    else:
        assert np.isfinite(model.fit(data, verbose=0).history["loss"]).all()


def test_a_data_set_that_does_not_tell_is_fitted():
    tf = pytest.importorskip("tensorflow")
    ragged = tf.data.Dataset.from_tensor_slices(examples(4)).batch(2)
    assert np.isfinite(distiller(SPLoss(layers=LAYERS)).fit(ragged, verbose=0).history["loss"])


def test_losses_of_single_samples_are_fitted_sample_by_sample():
    x, y = examples(4)
    model = Distiller(net(3), net(5, seed=1))
    model.compile("sgd", cross_entropy(), **EAGER)
    assert np.isfinite(model.fit(x, y, batch_size=1, verbose=0).history["loss"]).all()


@pytest.mark.alike
@first_of("cls", RELATIONS)
def test_a_last_batch_of_one_teaches_nothing_and_breaks_nothing(cls):
    x, y = examples(5)
    five, four = (distiller(cls(layers=LAYERS)) for _ in range(2))
    four.set_weights(five.get_weights())
    history = five.fit(x, y, batch_size=4, shuffle=False, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    four.fit(x[:4], y[:4], batch_size=4, shuffle=False, verbose=0)
    for a, b in zip(numbers(five.student), numbers(four.student), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
