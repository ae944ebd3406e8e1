"""What a student does when it is trained alone it does in a Distiller too."""

import keras
import numpy as np
import pytest
from keras import ops
from models_for_tests import EAGER, cross_entropy, distiller, examples, net, sgd

from keras_kd import Distiller

pytestmark = pytest.mark.core

X, Y = examples()


class Ruled(keras.Model):
    """A loss that is 100 more, and two metrics of its own."""

    def __init__(self, regularizer=None):
        super().__init__()
        self.scores = keras.layers.Dense(3, kernel_regularizer=regularizer)
        self.largest = keras.metrics.Mean(name="largest")
        self.steps = keras.metrics.Sum(name="steps")
        self.seen = None

    def call(self, x):
        return self.scores(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        self.steps.update_state(1.0)
        self.seen = x
        return 100.0 + super().compute_loss(x, y, y_pred, sample_weight)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        self.largest.update_state(ops.max(y_pred))
        return super().compute_metrics(x, y, y_pred, sample_weight)


def ruled(**kwargs):
    keras.utils.set_random_seed(0)
    model = Ruled(**kwargs)
    model(X)
    return model


def plain_history(student, epochs=2):
    student.compile(sgd(), cross_entropy(), **EAGER)
    return student.fit(X, Y, epochs=epochs, verbose=0, shuffle=False).history


def test_its_loss_and_metrics_are_those_that_it_has_alone():
    alone = plain_history(ruled())
    model = distiller(ruled(), net(8, seed=1), alpha=1.0)
    history = model.fit(X, Y, epochs=2, verbose=0, shuffle=False).history
    assert history["student_loss"] == pytest.approx(alone["loss"], rel=1e-6)
    assert history["largest"] == pytest.approx(alone["largest"], rel=1e-5)
    assert history["steps"] == alone["steps"] == [1.0, 1.0]
    found = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert found["loss"] > 100.0 and {"largest", "steps"} <= set(found)


def test_it_sees_its_own_inputs():
    student = ruled()
    model = distiller(student, net(8, seed=1), compiled={"run_eagerly": True})
    model.train_on_batch({"inputs": X, "index": np.arange(len(X))}, Y)
    np.testing.assert_array_equal(ops.convert_to_numpy(student.seen), X)


def test_its_regularisers_count_once():
    student = ruled(regularizer=keras.regularizers.L2(0.5))
    alone = plain_history(ruled(regularizer=keras.regularizers.L2(0.5)), epochs=1)
    model = distiller(student, net(8, seed=1), alpha=1.0)
    history = model.fit(X, Y, verbose=0, shuffle=False).history
    assert history["loss"] == pytest.approx(alone["loss"], rel=1e-6)


def test_a_name_that_the_distiller_logs_keeps_its_meaning():
    class OwnTracker(keras.Sequential):
        """Keras' examples call a metric of their own "loss"."""

        def __init__(self, layers):
            super().__init__(layers)
            self.tracker = keras.metrics.Mean(name="loss")

        def compute_loss(self, *args, **kwargs):
            loss = super().compute_loss(*args, **kwargs)
            self.tracker.update_state(7.0)
            return loss

    keras.utils.set_random_seed(0)
    student = OwnTracker([keras.Input((4,)), keras.layers.Dense(3)])
    model = distiller(student, net(8, seed=1), alpha=0.5)
    history = {name: each[0] for name, each in model.fit(X, Y, verbose=0).history.items()}
    both = 0.5 * (history["student_loss"] + history["kd_loss"])
    assert history["loss"] == pytest.approx(both, rel=1e-5)


@pytest.mark.parametrize("name", ["train_step", "test_step"])
@pytest.mark.parametrize("where", ["class", "instance"])
def test_a_step_of_its_own_is_refused_with_what_to_do(name, where):
    student = ruled()
    if where == "class":
        student.__class__ = type("Stepping", (Ruled,), {name: lambda self, *args: {}})
    else:
        setattr(student, name, lambda *args: {})
    with pytest.raises(ValueError, match=f"`{name}` of its own.*`compute_loss`"):
        Distiller(student, net(8, seed=1))


# What the student can do afterwards


def test_a_fitted_student_can_be_evaluated_with_what_was_compiled(tmp_path):
    student = net()
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="right")
    model = distiller(
        student, net(8, seed=1), compiled={"loss": cross_entropy(), "metrics": [accuracy]}
    )
    model.fit(X, Y, verbose=0)
    expected = model.evaluate(X, Y, verbose=0, return_dict=True)
    found = student.evaluate(X, Y, verbose=0, return_dict=True)
    assert found == pytest.approx({name: expected[name] for name in ("loss", "right")}, rel=1e-6)
    student.save(tmp_path / "student.keras")
    loaded = keras.saving.load_model(tmp_path / "student.keras")
    again = loaded.evaluate(X, Y, verbose=0, return_dict=True)
    assert again == pytest.approx(found, rel=1e-6)


def test_a_student_that_was_compiled_keeps_its_own():
    student = net()
    student.compile("adam", "sparse_categorical_crossentropy")
    optimizer = student.optimizer
    distiller(student, net(8, seed=1)).fit(X, Y, verbose=0)
    assert student.optimizer is optimizer


def test_the_latest_distiller_decides():
    student = net()
    distiller(student, net(8, seed=1))
    distiller(student, net(8, seed=1), compiled={"loss": "mse"})
    assert student.loss == "mse"
