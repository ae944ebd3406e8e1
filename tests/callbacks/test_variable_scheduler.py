import keras
import numpy as np
import pytest
from tiny import data, distiller, number, shared, weights

from keras_kd.callbacks import AlphaScheduler, LossWeightScheduler, TemperatureScheduler
from keras_kd.losses import FitNetLoss

pytestmark = pytest.mark.core

X, Y = data()


def fit(model, callback, epochs=3, **kwargs):
    kwargs = {"batch_size": 8, "shuffle": False, "verbose": 0, **kwargs}
    return model.fit(X, Y, epochs=epochs, callbacks=[callback], **kwargs).history


def test_a_function_of_the_epoch_is_followed_and_logged():
    model = shared()
    history = fit(model, AlphaScheduler(lambda epoch, alpha: 0.25 * epoch))
    assert history["alpha"] == [0.0, 0.25, 0.5]
    assert number(model.alpha) == 0.5


def test_a_function_sees_the_current_value():
    history = fit(shared(), TemperatureScheduler(lambda epoch, t: 2.0 * t))
    assert history["temperature"] == [8.0, 16.0, 32.0]


def test_a_function_of_the_epoch_alone_is_enough():
    assert fit(shared(), AlphaScheduler(lambda epoch: 0.5))["alpha"] == [0.5] * 3


def test_a_keras_schedule_counts_batches():
    decay = keras.optimizers.schedules.PolynomialDecay(8.0, 8, end_learning_rate=1.0)
    history = fit(shared(), TemperatureScheduler(decay))
    # Four batches an epoch; the last batch of epoch 0 is number 3: 8 - 7 * 3 / 8.
    np.testing.assert_allclose(history["temperature"], [5.375, 1.875, 1.0], rtol=1e-6)


def test_batches_go_on_counting_in_a_second_fit():
    model, seen = shared(), []
    callback = AlphaScheduler(lambda step, alpha: seen.append(step) or 0.5, per="batch")
    fit(model, callback, epochs=2)
    fit(model, callback, epochs=1)
    assert seen == list(range(12))


@pytest.mark.alike
def test_batches_are_counted_under_gradient_accumulation():
    seen = []
    model = distiller(keras.optimizers.SGD(0.1, gradient_accumulation_steps=4))
    fit(model, AlphaScheduler(lambda step, alpha: seen.append(step) or 0.5, per="batch"), epochs=2)
    assert seen == list(range(8))


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras takes one step at a time on PyTorch"
)
def test_steps_per_execution_sets_the_value_every_n_batches():
    seen = []
    model = shared(steps_per_execution=2)
    fit(model, AlphaScheduler(lambda step, alpha: seen.append(step) or 0.5, per="batch"), epochs=2)
    assert seen == [0, 2, 4, 6]


def test_a_scheduled_alpha_trains_as_a_fixed_one_does():
    found = []
    for alpha in (0.9, 0.1):
        model = shared(alpha=alpha)
        fit(model, AlphaScheduler(lambda epoch: 0.9))
        found.append(weights(model.student))
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_batch_schedule_changes_the_running_step():
    schedules = (
        AlphaScheduler(lambda epoch: 0.3),
        AlphaScheduler(lambda step, alpha: 0.0 if step % 2 else 1.0, per="batch"),
    )
    found = []
    for schedule in schedules:
        model = shared()
        fit(model, schedule)
        found.append(weights(model.student))
    assert any(not np.array_equal(a, b) for a, b in zip(*found, strict=True))


def test_the_weight_of_a_feature_loss_is_scheduled_by_its_name():
    model = distiller(feature_losses=[FitNetLoss(layers={"hidden": "hidden"})])
    history = fit(model, LossWeightScheduler("fit_net_loss", lambda epoch, w: 10.0 - epoch))
    assert history["fit_net_loss_weight"] == [10.0, 9.0, 8.0]


def test_the_weight_of_the_outputs_loss_is_scheduled_as_kd_loss():
    history = fit(shared(), LossWeightScheduler("kd_loss", lambda epoch, w: float(epoch > 0)))
    assert history["kd_loss"][0] == 0.0 < history["kd_loss"][1]


def test_a_scheduled_weight_of_zero_equals_no_loss():
    sgd = keras.optimizers.SGD  # Adam would blow up the rounding of gradients that are zero
    with_loss = distiller(sgd(0.1), feature_losses=[FitNetLoss(layers={"hidden": "hidden"})])
    fit(with_loss, LossWeightScheduler("fit_net_loss", lambda epoch: 0.0), epochs=1)
    without = distiller(sgd(0.1))
    fit(without, AlphaScheduler(lambda epoch: 0.3), epochs=1)
    for a, b in zip(weights(with_loss.student), weights(without.student), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)  # the order of float32 sums differs


def test_an_unknown_loss_name_lists_the_names():
    model = distiller(feature_losses=[FitNetLoss(layers={"hidden": "hidden"})])
    with pytest.raises(ValueError, match=r"fit_net_los'.*Did you mean 'fit_net_loss'.*kd_loss"):
        fit(model, LossWeightScheduler("fit_net_los", lambda epoch: 0.0))


@pytest.mark.parametrize(
    ("callback", "value"),
    [
        (AlphaScheduler, float("nan")),
        (AlphaScheduler, 1.5),
        (AlphaScheduler, -0.1),
        (TemperatureScheduler, float("nan")),
        (TemperatureScheduler, 0.0),
        (TemperatureScheduler, -1.0),
        (TemperatureScheduler, float("inf")),
    ],
)
def test_a_schedule_that_leaves_the_range_stops_training(callback, value):
    with pytest.raises(ValueError, match="Received:"):
        fit(shared(), callback(lambda epoch: value))


@pytest.mark.parametrize("value", [None, True, "0.5"])
def test_a_schedule_that_returns_no_number_stops_training(value):
    with pytest.raises(TypeError, match="Received: alpha="):
        fit(shared(), AlphaScheduler(lambda epoch: value))


def test_a_schedule_must_be_callable():
    with pytest.raises(TypeError, match=r"Received: schedule=0\.5"):
        AlphaScheduler(0.5)


def test_per_must_be_epoch_or_batch():
    with pytest.raises(ValueError, match="Received: per='step'"):
        AlphaScheduler(lambda epoch: 0.5, per="step")


def test_a_plain_model_is_refused():
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match="Received: model=Sequential"):
        model.fit(X, X[:, :3], verbose=0, callbacks=[AlphaScheduler(lambda epoch: 0.5)])


@pytest.mark.alike
def test_alpha_cannot_rise_where_there_are_no_labels():
    model = distiller(alpha=0.0)
    with pytest.raises(ValueError, match="the data has none"):
        model.fit(X, epochs=2, verbose=0, callbacks=[AlphaScheduler(lambda epoch: 0.5 * epoch)])


def test_verbose_prints_the_value(capsys):
    fit(shared(), AlphaScheduler(lambda epoch: 0.25, verbose=1), epochs=1)
    assert "Epoch 1: alpha is 0.25." in capsys.readouterr().out
