"""Tiny searches that the tests of this room share."""

import keras
import optuna
from models_for_tests import EAGER, cross_entropy, examples, net

from keras_kd import Distiller

optuna.logging.set_verbosity(optuna.logging.WARNING)

X, Y = examples(12)
VALIDATION = examples(9, seed=1)
FIT = {"validation_data": VALIDATION, "batch_size": 12, "verbose": 0}
SPACE = {"alpha": (0.0, 1.0), "width": (2, 9)}
TEACHER = net(8, seed=5)


def student(width):
    """A perceptron whose weights are drawn from the seed that is set."""
    layers = [keras.layers.Dense(width, "tanh"), keras.layers.Dense(3)]
    return keras.Sequential([keras.Input((4,)), *layers])


def compiled(model, rate=0.5):
    model.compile(keras.optimizers.SGD(rate), cross_entropy(), metrics=["accuracy"], **EAGER)
    return model


def make_distiller(settings):
    return compiled(Distiller(student(settings["width"]), TEACHER, alpha=settings["alpha"]))


def make_student(settings):
    return compiled(student(4), settings["rate"])


class Odd(optuna.pruners.BasePruner):
    """Gives up every other trial."""

    def prune(self, study, trial):
        return trial.number % 2 == 1
