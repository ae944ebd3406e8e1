"""A run of 2 + 2 epochs equals a run of 4."""

import functools

import keras
import numpy as np
import pytest
from models_for_tests import inferred
from tiny import data, distiller, weights
from variants import first_of

from keras_kd.callbacks import AlphaScheduler, FeatureMatching, TemperatureScheduler
from keras_kd.losses import FitNetLoss

pytestmark = pytest.mark.core

X, Y = data()
HINT = {"layers": {"hidden": "hidden"}, "weight": 2.0}


class Killed(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


def callbacks():
    return [
        AlphaScheduler(lambda epoch, alpha: 0.1 + 0.2 * epoch),
        TemperatureScheduler(keras.optimizers.schedules.CosineDecay(8.0, 8, alpha=0.125)),
        FeatureMatching(FitNetLoss(**HINT), start_epoch=1, stop_epoch=3),
    ]


def fit(model, epochs, *more, initial_epoch=0):
    return model.fit(
        X,
        Y,
        batch_size=16,
        epochs=epochs,
        initial_epoch=initial_epoch,
        shuffle=False,
        verbose=0,
        callbacks=[*callbacks(), *more],
    ).history


@functools.cache
def unbroken(optimizer=keras.optimizers.Adam, dropout=0.0):
    """A Distiller after four epochs in one `fit`, and its history."""
    keras.utils.set_random_seed(1)
    model = distiller(optimizer(0.01), dropout=dropout)
    return model, fit(model, 4)


def assert_same_end(resumed, history, whole):
    """Asserts that a run that was resumed after two epochs ended as the one that was not."""
    unbroken, unbroken_history = whole
    for a, b in zip(weights(resumed), weights(unbroken), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    for a, b in zip(resumed.optimizer.variables, unbroken.optimizer.variables, strict=True):
        a, b = keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b)
        np.testing.assert_allclose(a, b, atol=1e-6, err_msg=str(a))
    assert history.keys() == unbroken_history.keys()
    for name, values in history.items():
        # Sums of float32 in another trace: the last bits may differ.
        np.testing.assert_allclose(values, unbroken_history[name][2:], rtol=1e-5, err_msg=name)


@pytest.mark.slow
@first_of("dropout", [0.0, 0.5])
@first_of("optimizer", [keras.optimizers.Adam, keras.optimizers.SGD])
def test_a_saved_distiller_goes_on_where_it_stopped(tmp_path, optimizer, dropout):
    first = distiller(optimizer(0.01), dropout=dropout)
    fit(first, 2)
    first.save(tmp_path / "distiller.keras")
    resumed = keras.saving.load_model(tmp_path / "distiller.keras")
    history = fit(resumed, 4, initial_epoch=2)
    assert_same_end(resumed, history, unbroken(optimizer, dropout))


def test_model_checkpoint_holds_all_that_a_resumed_run_needs(tmp_path):
    path = tmp_path / "{epoch}.keras"
    fit(distiller(), 2, keras.callbacks.ModelCheckpoint(path))
    resumed = keras.saving.load_model(tmp_path / "2.keras")
    history = fit(resumed, 4, initial_epoch=2)
    assert_same_end(resumed, history, unbroken())


def test_backup_and_restore_goes_on_after_a_kill(tmp_path):
    backup = tmp_path / "backup"
    with pytest.raises(KeyboardInterrupt):
        fit(
            distiller(),
            4,
            keras.callbacks.BackupAndRestore(backup, double_checkpoint=True),
            Killed(),
        )
    resumed = distiller()
    history = fit(resumed, 4, keras.callbacks.BackupAndRestore(backup, double_checkpoint=True))
    assert_same_end(resumed, history, unbroken())


def test_a_saved_distiller_keeps_teacher_alpha_temperature_and_projectors(tmp_path):
    model = distiller(feature_losses=[FitNetLoss(**HINT)])
    model.fit(X, Y, verbose=0)
    model.alpha.assign(0.75)
    model.temperature.assign(2.0)
    model.term_weights["fit_net_loss"].assign(0.5)
    model.save(tmp_path / "distiller.keras")
    loaded = keras.saving.load_model(tmp_path / "distiller.keras")
    for mine, other in ((model, loaded), (model.teacher, loaded.teacher)):
        for a, b in zip(weights(mine), weights(other), strict=True):
            np.testing.assert_array_equal(a, b)
    assert loaded.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)


def test_a_teacher_that_was_compiled_with_a_custom_loss_does_not_break_loading(tmp_path):
    model = distiller()
    model.teacher.compile("sgd", loss=lambda y, p: keras.ops.mean(p, axis=-1))
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "distiller.keras")
    loaded = keras.saving.load_model(tmp_path / "distiller.keras")
    np.testing.assert_array_equal(inferred(loaded, X), inferred(model, X))
