"""Every training of a search is the same program, and leaves the user's own as it was."""

import random

import keras
import numpy as np
import pytest
from models_for_tests import EAGER, assert_same_weights
from searches import FIT, X, Y

from keras_kd.tuning import keras_state, search
from keras_kd.tuning.auto_names import names_as_before

Y = (Y > 0).astype("float32")
FIT = {**FIT, "validation_data": (X[::-1], Y[::-1])}
SPACE = {"rate": (1.0, 5.0)}


@pytest.fixture
def no_names_yet():
    with names_as_before():
        keras_state.set_counters({})
        yield


def compiled(model, settings):
    area = keras.metrics.AUC()  # which names itself
    model.compile(keras.optimizers.SGD(settings["rate"]), "mse", metrics=[area], **EAGER)
    return model


@pytest.mark.core
@pytest.mark.alike
def test_names_and_stops_are_the_trials_own_and_the_users_randomness_goes_on(no_names_yet):
    base = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    base.trainable = False
    keras.metrics.AUC()  # of a teacher, say
    names = []

    def make(settings):
        new = keras.layers.Dense(1, "sigmoid")
        model = keras.Model(base.inputs, new(base.outputs[0]))
        names.append([model.name, *(layer.name for layer in model.layers)])
        return compiled(model, settings)

    def stop(name):  # after two epochs, with the weights of the first
        return keras.callbacks.EarlyStopping(
            "val_auc", min_delta=1.0, patience=1, mode="max", restore_best_weights=True
        )

    random.seed(5)
    np.random.seed(5)
    expected = random.random(), np.random.random()
    random.seed(5)
    np.random.seed(5)
    given = {"objectives": "val_auc", "epochs": 3, "callbacks": stop, **FIT}
    result = search(make, SPACE, X, Y, trials=1, **given)
    first, second, other = result.train(), result.train(), result.train(seed=9)
    assert (random.random(), np.random.random()) == expected
    assert len(names) == 4 and all(each == names[0] for each in names)
    assert_same_weights(first, second)
    assert first.history.epoch == second.history.epoch == other.history.epoch == [0, 1]
    keras.Model(first.inputs, keras.layers.Dense(2)(first.outputs[0]))  # can be built on
    assert search(make, SPACE, X, Y, trials=1, **given).best_value > 0.0


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow's strategies")
def test_names_begin_again_in_the_scope_of_a_strategy(no_names_yet):
    import tensorflow as tf

    def make(settings):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, "sigmoid")])
        return compiled(model, settings)

    with tf.distribute.MirroredStrategy(["cpu:0"]).scope():
        result = search(make, SPACE, X, Y, trials=2, objectives="val_auc", **FIT)
        assert tf.distribute.has_strategy()
    assert [row["state"] for row in result.rows] == ["complete"] * 2
