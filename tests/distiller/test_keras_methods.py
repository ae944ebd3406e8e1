"""What users do with a Keras model, they do with a Distiller."""

import keras
import numpy as np
import pytest
from keras import layers
from models_for_tests import (
    COMPILED,
    assert_same_weights,
    cross_entropy,
    distiller,
    examples,
    inferred,
    kd,
    log_softmax,
    net,
    sgd,
)
from training_runs import HINT, core, needs_tensorflow, reference, trained

from keras_kd import Distiller, losses
from keras_kd.losses import FitNetLoss, KDLoss


@core
def test_train_on_batch_and_test_on_batch_are_fit_and_evaluate():
    x, y = examples(8)
    student, history = trained((x, y), batch_size=8, epochs=1)
    other = net()
    model = distiller(
        other, net(9, seed=1), alpha=0.3, feature_losses=[FitNetLoss(layers=HINT, weight=0.5)]
    )
    logs = model.train_on_batch(x, y, return_dict=True)
    assert_same_weights(other, student)
    for name, values in history.items():
        assert float(logs[name]) == pytest.approx(values[0], rel=1e-5), name
    model.reset_metrics()
    tested = model.test_on_batch(x, y, return_dict=True)
    evaluated = model.evaluate(x, y, return_dict=True, verbose=0)
    for name, value in evaluated.items():
        assert float(tested[name]) == pytest.approx(value, rel=1e-5), name
    # One is compiled, the other not: another order of float32 sums.
    np.testing.assert_allclose(model.predict_on_batch(x), other.predict_on_batch(x), atol=1e-6)


@core
def test_retraining_recompiling_and_other_batch_sizes_go_on_where_training_stood():
    x, y = examples(12)
    other = net()
    model = distiller(
        other, net(9, seed=1), alpha=0.3, feature_losses=[FitNetLoss(layers=HINT, weight=0.5)]
    )
    model.fit(x, y, batch_size=5, shuffle=False, verbose=0)
    model.compile(sgd(), cross_entropy())  # SGD without momentum has no state to lose
    model.fit(x, y, batch_size=5, shuffle=False, verbose=0)
    assert_same_weights(other, reference()[0])
    for size in (12, 7):
        assert np.isfinite(model.fit(x, y, batch_size=size, verbose=0).history["loss"][0])


@core
def test_compile_takes_metrics_and_weighted_metrics_by_output():
    def heads(seed):
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((4,))
        return keras.Model(inputs, {n: layers.Dense(3, name=n)(inputs) for n in "ab"})

    x, y = examples(8)
    labels, weights = {"a": y, "b": y}, {"a": np.ones(8), "b": np.arange(8.0)}
    found = []
    for model in (heads(0), Distiller(heads(0), heads(1))):
        model.compile(
            sgd(),
            loss={"a": cross_entropy(), "b": cross_entropy()},
            loss_weights={"a": 1.0, "b": 0.5},
            metrics={"a": ["accuracy"]},
            weighted_metrics={"b": ["accuracy"]},
        )
        found.append(model.evaluate(x, labels, sample_weight=weights, return_dict=True, verbose=0))
    for name, value in found[0].items():
        assert found[1][name] == pytest.approx(value, rel=1e-5), name


@core
def test_callbacks_that_stop_and_save_work(tmp_path):
    x, y = examples(12)
    model = distiller(net(), net(9, seed=1), compiled={"metrics": ["accuracy"]})
    callbacks = [
        keras.callbacks.EarlyStopping("val_accuracy", patience=1, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau("val_loss"),
        keras.callbacks.CSVLogger(str(tmp_path / "log.csv")),
        keras.callbacks.ModelCheckpoint(str(tmp_path / "best.weights.h5"), save_weights_only=True),
        keras.callbacks.TerminateOnNaN(),
    ]
    model.fit(x, y, validation_data=(x, y), epochs=2, verbose=0, callbacks=callbacks)
    before = model.student.get_weights()
    model.load_weights(tmp_path / "best.weights.h5")
    assert len(before) == 4


@needs_tensorflow
def test_changing_alpha_temperature_or_a_weight_makes_no_other_trace():
    import tensorflow as tf

    traced = []

    @keras.saving.register_keras_serializable(package="tests")
    class Traced(layers.Layer):
        def call(self, x):
            if tf.inside_function():
                traced.append(None)
            return x

    inputs = keras.Input((4,))
    student = keras.Model(inputs, layers.Dense(3)(Traced()(layers.Dense(5, name="hidden")(inputs))))

    class Change(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.alpha.assign(0.1 * (batch % 5))
            self.model.temperature.assign(1.0 + batch)
            self.model.term_weights["fit_net_loss"].assign(batch)

    x, y = examples(16)
    hint = FitNetLoss(layers=HINT, weight=0.5)
    model = distiller(student, net(9, seed=1), alpha=0.5, feature_losses=[hint], compiled=COMPILED)
    model.optimizer.build(model.trainable_variables)
    model.fit(x, y, batch_size=4, verbose=0)
    once = len(traced)
    model.fit(x, y, batch_size=4, epochs=3, verbose=0, callbacks=[Change()])
    assert len(traced) == once > 0


@needs_tensorflow
def test_a_training_loop_of_ones_own_gets_the_same_update():
    import tensorflow as tf

    x, y = examples(8)
    taught = trained((x, y), batch_size=8, epochs=1)[0]
    student = net()
    model = distiller(
        student, net(9, seed=1), alpha=0.3, feature_losses=[FitNetLoss(layers=HINT, weight=0.5)]
    )

    @tf.function
    def step(x, y):
        return model.train_step((x, y))

    logs = step(tf.constant(x), tf.constant(y))
    assert_same_weights(student, taught)
    assert float(logs["fit_net_loss"]) > 0


@needs_tensorflow
def test_predict_and_calls_give_the_students_outputs():
    x, _ = examples(8)
    student = net()
    model = Distiller(student, net(9, seed=1))
    model.compile()
    np.testing.assert_array_equal(model.predict(x, verbose=0), student.predict(x, verbose=0))
    np.testing.assert_array_equal(np.asarray(model(x)), np.asarray(student(x)))


@core
def test_the_students_dropout_drops_and_the_teachers_does_not():
    def dropping(seed):
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((64,))
        dropped = layers.Dropout(0.5, name="drop")(inputs)
        return keras.Model(inputs, layers.Dense(3)(dropped))

    hint = losses.RegressionLoss(layers={"drop": "drop"}, name="drop_loss")
    model = distiller(
        dropping(0), dropping(1), feature_losses=[hint], compiled={"optimizer": sgd(0.0)}
    )
    x = np.ones((4, 64), "float32")
    history = model.fit(x, np.zeros(4), epochs=2, verbose=0).history
    # A unit is doubled or 0: each is 1 away from a teacher that drops none.
    assert history["drop_loss"] == [64.0, 64.0]
    assert history["kd_loss"][0] != history["kd_loss"][1]  # another mask in each step


@core
def test_the_distillation_loss_of_an_epoch_is_the_mean_over_its_examples():
    x, y = examples(10)
    student, teacher = net(), net(9, seed=1)
    z_s, z_t = inferred(student, x), inferred(teacher, x)
    model = distiller(
        student, teacher, kd_loss=KDLoss(temperature=2.0), compiled={"optimizer": sgd(0.0)}
    )
    history = model.fit(x, y, batch_size=3, verbose=0).history
    assert history["kd_loss"][0] == pytest.approx(kd(z_t, z_s, 2.0).mean(), rel=1e-4)
    assert history["student_loss"][0] == pytest.approx(
        -log_softmax(z_s)[range(10), y].mean(), rel=1e-5
    )
