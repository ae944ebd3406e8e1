"""A Keras model's training step as a function of its state, for `jax.jit` and `jax.lax.scan`."""

import importlib.metadata
import platform

import jax


def state_of(model):
    """Returns the state that `train_step` takes: weights, other variables, optimizer, metrics."""
    model.optimizer.build(model.trainable_variables)
    parts = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    # Copies: a step gives its arguments' memory to its results.
    return tuple([jax.numpy.array(each.value, copy=True) for each in part] for part in parts)


def write_back(model, state):
    """Gives the model the weights and the other variables of a state."""
    for variables, values in zip(
        (model.trainable_variables, model.non_trainable_variables), state[:2], strict=True
    ):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


def on_processor():
    """Returns a context in which models are built beside the device: a kernel for each of their
    initializers would take the device longer than the processor takes for all."""
    return jax.default_device(jax.local_devices(backend="cpu")[0])


def on_what():
    """Returns the device and the versions that a figure was made with."""
    names = ("jax", "jaxlib", "keras", "numpy")
    versions = {name: importlib.metadata.version(name) for name in names}
    versions = {"python": platform.python_version()} | versions
    return {"device": jax.devices()[0].device_kind, "versions": versions}
