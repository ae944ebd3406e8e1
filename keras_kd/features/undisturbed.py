"""Leaving models and tensors as they were, where PyTorch would change or keep them."""

import contextlib

import keras


@contextlib.contextmanager
def modes_kept(model):
    """Gives the PyTorch modules inside a model their modes, training or inference, back.

    Keras' `TorchModuleWrapper` sets them for each pass and leaves them so.

    Args:
        model: A Keras model or layer.
    """
    if keras.backend.backend() != "torch":  # there are no such modules
        yield
        return
    # Keras has no public way to the layers inside a layer that is not a model.
    wrappers = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.TorchModuleWrapper)
    ]
    modes = [(module, module.training) for each in wrappers for module in each.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def without_graph():
    """Returns the context of a pass that nobody differentiates.

    PyTorch keeps what a pass computed for as long as something of it may be differentiated, a
    stopped gradient or not. On the other backends a stopped gradient is enough.
    """
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()


def changeable(tensors):
    """Returns a nest of tensors that may be changed in place, as Keras' losses do with weights.

    They multiply them by a mask, which on PyTorch changes what the caller has.
    """
    if keras.backend.backend() != "torch":
        return tensors
    return keras.tree.map_structure(
        lambda leaf: None if leaf is None else keras.ops.copy(leaf), tensors
    )
