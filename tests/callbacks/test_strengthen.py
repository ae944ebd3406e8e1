import keras
import numpy as np
import pytest
from models_for_tests import sgd
from tiny import data, distiller, number, shared

from keras_kd.callbacks import StopAtTarget, Strengthen

pytestmark = pytest.mark.core

X, Y = data()


def fit(model, *callbacks, epochs=4, **kwargs):
    kwargs = {"validation_data": (X, Y), "verbose": 0, **kwargs}
    return model.fit(X, Y, epochs=epochs, callbacks=list(callbacks), **kwargs).history


def told(callback, values, alpha=0.5, temperature=4.0):
    """Alpha and temperature in each epoch whose logs say `values`, and after the last."""
    model = shared(alpha=alpha, temperature=temperature)
    callback.set_model(model)
    callback.on_train_begin()
    epochs = []
    for epoch, value in enumerate(values):
        logs = {callback.monitor: value}
        callback.on_epoch_end(epoch, logs)
        epochs.append((logs["alpha"], logs["temperature"]))
    epochs.append((number(model.alpha), number(model.temperature)))
    return np.array(epochs).T


def alphas(values, target=0.9, mode="max", monitor="val_accuracy", **kwargs):
    return told(Strengthen(monitor, target, mode=mode, **kwargs), values)[0]


def test_a_student_that_stands_still_hears_more_of_its_teacher_in_each_epoch():
    # Nothing moves at a rate of 0. The first epoch is the best so far, each one after it is none.
    model = distiller(sgd(0.0), alpha=0.3)
    model.student.get_layer("norm").trainable = False  # whose statistics would move
    callback = Strengthen("val_accuracy", 1.0, temperature_step=2.0, most_temperature=7.0)
    history = fit(model, callback, epochs=5)
    np.testing.assert_allclose(history["alpha"], [0.3, 0.3, 0.2, 0.1, 0.05], rtol=1e-5)
    assert history["temperature"] == [4.0, 4.0, 6.0, 7.0, 7.0]
    accuracy = history["val_accuracy"][0]
    assert [change["epoch"] for change in callback.history] == [1, 2, 3]
    assert callback.history[0] == {
        "epoch": 1,
        "val_accuracy": accuracy,
        "alpha": history["alpha"][2],
        "temperature": 6.0,
    }


def test_what_improves_changes_nothing():
    np.testing.assert_allclose(alphas([0.1, 0.2, 0.3, 0.4]), 0.5)


def test_patience_counts_epochs_since_the_last_improvement_or_change():
    values = [0.5, 0.5, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6]
    expected = [0.5, 0.5, 0.5, 0.4, 0.4, 0.4, 0.3, 0.3, 0.2]
    np.testing.assert_allclose(alphas(values, patience=2), expected, rtol=1e-6)


def test_an_improvement_below_min_delta_is_none():
    np.testing.assert_allclose(alphas([0.5, 0.54, 0.6], min_delta=0.05), [0.5, 0.5, 0.4, 0.4])


def test_a_target_that_was_reached_ends_all_changes():
    np.testing.assert_allclose(alphas([0.5, 0.5, 0.9, 0.5, 0.5]), [0.5, 0.5, 0.4, 0.4, 0.4, 0.4])


def test_a_loss_improves_downwards():
    values = [2.0, 1.5, 1.6, 1.0, 1.2]
    found = alphas(values, target=1.0, mode="auto", monitor="val_loss")
    np.testing.assert_allclose(found, [0.5, 0.5, 0.5, 0.4, 0.4, 0.4])


def test_what_begins_beyond_the_bounds_is_left_there():
    callback = Strengthen("m", 1.0, mode="max", temperature_step=5.0)
    alpha, temperature = told(callback, [0.0] * 4, alpha=0.01, temperature=30.0)
    np.testing.assert_allclose(alpha, 0.01)
    np.testing.assert_allclose(temperature, 30.0)
    assert callback.history == []


class Says(keras.callbacks.Callback):
    """Stands before callbacks that are to see other logs."""

    def on_epoch_end(self, epoch, logs=None):
        logs["quality"] = [0.4, 0.4, 0.6, 0.4][epoch]


def test_it_ends_with_stop_at_target_and_can_be_used_twice():
    callback = Strengthen("quality", 0.5, mode="max")
    for _ in range(2):
        callbacks = [Says(), callback, StopAtTarget("quality", 0.5, mode="max")]
        history = fit(shared(), *callbacks, validation_data=None)
        np.testing.assert_allclose(history["alpha"], [0.3, 0.3, 0.2], rtol=1e-6)
        assert [change["epoch"] for change in callback.history] == [1]


class Killed(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


def test_a_resumed_training_goes_on_with_the_strength_it_had(tmp_path):
    def callbacks():
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", double_checkpoint=True)
        return [Strengthen("val_accuracy", 2.0, min_delta=1.0, temperature_step=1.0), backup]

    with pytest.raises(KeyboardInterrupt):
        fit(distiller(alpha=0.5), *callbacks(), Killed(), epochs=5)
    history = fit(distiller(), *callbacks(), epochs=5)  # two changes were made, in epochs 1 and 2
    np.testing.assert_allclose(history["alpha"], [0.3, 0.3], rtol=1e-6)
    assert history["temperature"] == [6.0, 6.0]


def test_each_change_is_printed(capsys):
    told(Strengthen("val_accuracy", 0.9, mode="max", verbose=1), [0.5, 0.5])
    line = "Epoch 2: val_accuracy 0.5 is short of 0.9 and stands still: alpha 0.5 -> 0.4."
    assert line in capsys.readouterr().out


def test_an_unknown_metric_lists_the_logs():
    with pytest.raises(ValueError, match=r"Received: monitor='val_acc'.*val_accuracy"):
        fit(shared(), Strengthen("val_acc", 0.5), epochs=1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("patience", 0),
        ("min_delta", -0.1),
        ("alpha_step", -0.1),
        ("alpha_step", 0.0),
        ("least_alpha", 1.5),
        ("temperature_step", -1.0),
        ("most_temperature", 0.0),
        ("mode", "most"),
    ],
)
def test_arguments_out_of_their_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"Received: {name}="):
        Strengthen("val_accuracy", 0.9, **{name: value})


def test_a_plain_model_is_refused():
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match="Received: model=Sequential"):
        model.fit(X, X[:, :3], verbose=0, callbacks=[Strengthen("val_loss", 0.1)])
