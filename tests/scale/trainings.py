"""The training that scripts of this folder run on one device, on several, and in two processes."""

import keras
import numpy as np

from keras_kd import Distiller, losses
from keras_kd.callbacks import AlphaScheduler, TemperatureScheduler

SAMPLES, BATCH, EPOCHS = 32, 16, 2
VECTORS = {"layers": {"hidden": "hidden"}}


def net(width, seed):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(width, "tanh", name="hidden")(inputs)
    return keras.Model(inputs, keras.layers.Dense(3, name="scores")(hidden))


def examples():
    """Inputs with their numbers, for CRDLoss, and labels."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(SAMPLES, 4)).astype("float32")
    return {"inputs": x, "index": np.arange(SAMPLES, dtype="int32")}, rng.integers(0, 3, SAMPLES)


def relational(**settings):
    """The losses that compare samples with each other, none much larger than the labels' loss."""
    return [
        losses.RKDLoss(weight=0.1, **VECTORS, **settings),
        losses.SPLoss(weight=10.0, **VECTORS, **settings),
        losses.CCLoss(weight=10.0, dim=8, **VECTORS, **settings),
        losses.PKTLoss(weight=100.0, **VECTORS, **settings),
        losses.CRDLoss(SAMPLES, negatives=8, dim=8, weight=0.1, **VECTORS, **settings),
        losses.DISTLoss(2.0, weight=0.3, layers={"scores": "scores"}, **settings),
    ]


def distiller(teacher, feature_losses):
    """A Distiller of student and teacher of two widths, so that there are projectors."""
    student = net(5, 0)
    keras.utils.set_random_seed(2)  # of the projectors
    model = Distiller(student, teacher, alpha=0.3, feature_losses=feature_losses)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss, metrics=["accuracy"])
    return model


def schedules():
    return [
        TemperatureScheduler(lambda step, now: 8.0 - step, per="batch"),
        AlphaScheduler(lambda epoch, now: 0.3 + 0.2 * epoch),
    ]


def fitted(model, *data, first=0, epochs=EPOCHS, callbacks=(), **settings):
    """The history of a `fit` in the data's order."""
    told = {"shuffle": False, "verbose": 0, "initial_epoch": first, **settings}
    return model.fit(*data, epochs=epochs, callbacks=[*schedules(), *callbacks], **told).history


def numbers(model):
    """The student's weights, and then all of the Distiller's."""
    weights = [*model.student.get_weights(), *model.get_weights()]
    return [np.asarray(weight, "float64") for weight in weights]


def apart(one, other):
    """The largest difference of two trained models' weights, or of two histories' values."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), (one.keys(), other.keys())
        one, other = list(one.values()), [other[name] for name in one]
    return max(float(np.abs(np.subtract(a, b)).max()) for a, b in zip(one, other, strict=True))
