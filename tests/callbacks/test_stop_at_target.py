import pytest
from tiny import data, shared

from keras_kd.callbacks import StopAtTarget

pytestmark = pytest.mark.core

X, Y = data()


def fit(callback, epochs=30):
    return (
        shared()
        .fit(X, Y, epochs=epochs, verbose=0, validation_data=(X, Y), callbacks=[callback])
        .history
    )


def test_training_stops_in_the_epoch_that_reaches_the_target():
    history = fit(StopAtTarget("val_accuracy", 0.5))["val_accuracy"]
    assert history[-1] >= 0.5
    assert all(value < 0.5 for value in history[:-1])


def test_a_loss_is_reached_from_above():
    history = fit(StopAtTarget("val_loss", 1.05), epochs=90)["val_loss"]
    assert history[-1] <= 1.05
    assert all(value > 1.05 for value in history[:-1])


def test_a_target_that_is_never_reached_stops_nothing():
    assert len(fit(StopAtTarget("val_accuracy", 2.0), epochs=3)["loss"]) == 3


def test_the_callback_can_be_used_twice():
    callback = StopAtTarget("val_accuracy", 0.0)
    assert len(fit(callback)["loss"]) == len(fit(callback)["loss"]) == 1


def test_an_unknown_metric_lists_the_logs():
    with pytest.raises(ValueError, match=r"Received: monitor='val_acc'.*val_accuracy"):
        fit(StopAtTarget("val_acc", 0.5))


def test_a_target_that_is_no_number_is_refused():
    with pytest.raises(TypeError, match="Received: target="):
        StopAtTarget("val_accuracy", "0.5")
