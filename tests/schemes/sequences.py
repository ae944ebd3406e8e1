"""Tiny trainings that tests of sequences share."""

import keras
from models_for_tests import EAGER, cross_entropy, examples, net, sgd

X, Y = examples(12)
FIT = {"batch_size": 12, "shuffle": False, "verbose": 0}


def compiled():
    return {"optimizer": sgd(), "loss": cross_entropy(), **EAGER}


def adam():
    return {"optimizer": keras.optimizers.Adam(0.05), "loss": cross_entropy(), **EAGER}


def named(name, width=5, seed=0, dropout=0.0, **kwargs):
    """A perceptron of that name, with layers `hidden` and `scores`."""
    made = net(width, seed, **kwargs)
    hidden = made.get_layer("hidden").output
    if dropout:
        hidden = keras.layers.Dropout(dropout, seed=3, name="drop")(hidden)
    return keras.Model(made.input, made.get_layer("scores")(hidden), name=name)


class KilledAt(keras.callbacks.Callback):
    """Ends the process, as it were, in the given epoch of the training of that name."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


def killed(training, epoch):
    """Callbacks of a sequence that is killed in one epoch of one training."""
    return lambda name: [KilledAt(epoch)] if name == training else []
