"""A tiny distillation on vectors, for tests of callbacks and of resuming."""

import functools

import keras
import numpy as np
from models_for_tests import EAGER

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


def distiller(
    optimizer=None, compiled=True, steps_per_execution=1, dropout=0.0, eager=EAGER, **kwargs
):
    model = keras_kd.Distiller(
        net(4, "student", 1, dropout), net(16, "teacher", 2), **{"alpha": 0.3, **kwargs}
    )
    if compiled:
        model.compile(
            optimizer or keras.optimizers.Adam(0.01),
            LOSS,
            metrics=["accuracy"],
            steps_per_execution=steps_per_execution,
            **(eager if steps_per_execution == 1 else {}),
        )
    return model


@functools.cache
def _compiled(steps_per_execution):
    model = distiller(steps_per_execution=steps_per_execution, eager={})
    model.optimizer.build(model.trainable_variables)
    state = [*model.variables, *model.optimizer.variables]
    return model, state, [keras.ops.convert_to_numpy(variable) for variable in state]


def shared(steps_per_execution=1, **scalars):
    """`distiller()` as it was when it was made, with a step that was traced once for all tests."""
    model, state, values = _compiled(steps_per_execution)
    model.stop_training = False
    for variable, value in zip(state, values, strict=True):
        variable.assign(value)
    for name, value in scalars.items():
        getattr(model, name).assign(value)
    return model


def weights(model):
    return [keras.ops.convert_to_numpy(v) for v in model.weights]


def number(variable):
    return float(keras.ops.convert_to_numpy(variable))
