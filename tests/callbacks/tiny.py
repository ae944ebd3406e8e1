"""A tiny distillation on vectors, for tests of callbacks and of resuming."""

import keras
import numpy as np

import keras_kd

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def data(samples=32):
    x = np.random.default_rng(0).normal(size=(samples, 6)).astype("float32")
    return x, x[:, :3].argmax(axis=-1)


def net(width, name, seed, dropout=0.0):
    keras.utils.set_random_seed(seed)
    layers = [
        keras.Input((6,)),
        keras.layers.Dense(width, name="hidden"),
        keras.layers.BatchNormalization(name="norm"),
        keras.layers.ReLU(name="relu"),
        *([keras.layers.Dropout(dropout, seed=3)] if dropout else []),
        keras.layers.Dense(3, name="logits"),
    ]
    return keras.Sequential(layers, name=name)


def distiller(optimizer=None, compiled=True, steps_per_execution=1, dropout=0.0, **kwargs):
    model = keras_kd.Distiller(
        net(4, "student", 1, dropout), net(16, "teacher", 2), **{"alpha": 0.3, **kwargs}
    )
    if compiled:
        model.compile(
            optimizer or keras.optimizers.Adam(0.01),
            LOSS,
            metrics=["accuracy"],
            steps_per_execution=steps_per_execution,
        )
    return model


def weights(model):
    return [keras.ops.convert_to_numpy(v) for v in model.weights]


def number(variable):
    return float(keras.ops.convert_to_numpy(variable))
