import keras
import numpy as np
import pytest
from models_for_tests import COMPILED, EAGER, ONE, sgd
from tiny import data, distiller, shared

from keras_kd.callbacks import WeightNormRate
from keras_kd.losses import FitNetLoss

pytestmark = pytest.mark.core

X, Y = data()


class Rates(keras.callbacks.Callback):
    """Stands behind WeightNormRate: the rate of each batch, and one over the weights' norm."""

    def __init__(self):
        super().__init__()
        self.found, self.expected = [], []

    def on_train_batch_begin(self, batch, logs=None):
        model = self.model
        squares = [np.sum(np.square(np.asarray(w, "float64"))) for w in self.trained().values()]
        self.found.append(float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)))
        self.expected.append(1.0 / np.sqrt(sum(squares)))

    def trained(self):
        student = getattr(self.model, "student", self.model)
        return {w.path: keras.ops.convert_to_numpy(w) for w in student.trainable_weights}


def times(factor, trainable=True, **compiled):
    """A model that multiplies by one number, which it learns."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([np.array([[factor]])])
    model.trainable = trainable
    model.compile(sgd(7.0), "mse", **(compiled or EAGER))
    return model


def fit(model, *callbacks, epochs=2, **kwargs):
    kwargs = {"batch_size": 8, "shuffle": False, "verbose": 0, **kwargs}
    return model.fit(X, Y, epochs=epochs, callbacks=list(callbacks), **kwargs).history


def test_each_batch_has_the_rate_of_the_students_weights_before_it():
    model, rates = shared(), Rates()
    history = fit(model, WeightNormRate(0.5), rates)
    assert len(set(rates.found)) == 8  # four batches in two epochs, each after other weights
    np.testing.assert_allclose(rates.found, 0.5 * np.array(rates.expected), rtol=1e-5)
    np.testing.assert_allclose(history["learning_rate"], [rates.found[3], rates.found[7]])


@pytest.mark.parametrize("steps", [EAGER, COMPILED])
def test_the_step_is_taken_with_that_rate(steps):
    # f(x) = w x against y = 0 at x = 1: the gradient of w^2 is 2 w, the rate 0.25 / |w|, so each
    # step takes 0.5 from w, whatever w is.
    model, seen = times(3.0, **steps), []

    class Weights(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(keras.ops.convert_to_numpy(self.model.trainable_weights[0]).item())

    x = np.ones((4, 1), "float32")
    callbacks = [WeightNormRate(0.25), Weights()]
    model.fit(x, 0 * x, batch_size=1, verbose=0, callbacks=callbacks)
    np.testing.assert_allclose(seen, [2.5, 2.0, 1.5, 1.0], rtol=1e-5)


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras takes one step at a time on PyTorch"
)
def test_several_steps_in_one_execution_have_the_rate_of_the_first():
    rates = Rates()
    fit(shared(steps_per_execution=2), WeightNormRate(), rates)
    np.testing.assert_allclose(rates.found, rates.expected, rtol=1e-5)
    assert len(rates.found) == 4


def test_projectors_and_frozen_weights_do_not_count():
    model, rates = (
        distiller(sgd(), feature_losses=[FitNetLoss(layers={"hidden": "hidden"})]),
        Rates(),
    )
    model.student.get_layer("hidden").trainable = False
    fit(model, WeightNormRate(), rates, epochs=1)
    assert not any(path.startswith("hidden") for path in rates.trained())
    np.testing.assert_allclose(rates.found, rates.expected, rtol=1e-5)


def test_a_rate_that_is_a_schedule_is_refused():
    model = distiller(sgd(keras.optimizers.schedules.CosineDecay(0.1, 10)))
    with pytest.raises(ValueError, match=r"a number and no schedule.*Received: optimizer=SGD"):
        fit(model, WeightNormRate())


def test_weights_of_zero_have_no_rate():
    with pytest.raises(ValueError, match=r"Received: a norm of 0\.0 before batch 0"):
        times(0.0).fit(ONE, ONE, verbose=0, callbacks=[WeightNormRate()])


def test_a_model_of_which_nothing_is_trained_has_no_rate():
    with pytest.raises(ValueError, match="Nothing is trained"):
        times(1.0, trainable=False).fit(ONE, ONE, verbose=0, callbacks=[WeightNormRate()])


@pytest.mark.parametrize("multiple", [0.0, -1.0, float("nan")])
def test_a_multiple_that_is_not_above_zero_is_refused(multiple):
    with pytest.raises(ValueError, match="Received: multiple="):
        WeightNormRate(multiple)
