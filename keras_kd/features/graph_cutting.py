"""Cutting a Functional or Sequential model at a layer."""

import keras

from keras_kd.features.dtype_clone import dtype_clone
from keras_kd.features.layer_tree import find_layer


def file_copy(model, role):
    """Copies a model through Keras' file format, which keeps all of its state."""
    if not (isinstance(model, keras.Sequential) or hasattr(model, "operations")):
        raise ValueError(
            f"Only Functional and Sequential models can be cut at a layer. Received: {role} "
            f"'{model.name}' of class {type(model).__name__}"
        )
    return dtype_clone(model)


def ends(model):
    """Returns a model's symbolic inputs and outputs in their structures."""
    if isinstance(model, keras.Sequential):
        return model.inputs[0], model.outputs[0]
    return model.input, model.output


def tapped(model, tap, role):
    """Returns the tensor of a model's graph that a tap reads."""
    layer = find_layer(model, tap.layer, role)
    # Keras has no public way to one of several calls, nor to the call of a nested model.
    graph = model._functional if isinstance(model, keras.Sequential) else model
    in_order = [nodes for _, nodes in sorted(graph._nodes_by_depth.items(), reverse=True)]
    calls = [node for nodes in in_order for node in nodes if node.operation is layer]
    if not calls or tap.side not in ("output", "input"):
        raise ValueError(
            f"A {role} is cut at the output or the input of a layer of its own, not of one inside "
            f"a nested model or layer. Received: {tap}"
        )
    call = calls[tap.call or 0]
    return call.input_tensors[0] if tap.side == "input" else call.outputs[0]


def between(inputs, outputs, name, role, tap):
    """Returns the model from one tensor of a graph to others, or says why there is none."""
    try:
        return keras.Model(inputs, outputs, name=name)
    except ValueError as error:
        raise ValueError(
            f"The {role} cannot be cut there: other paths (a mask is one, too) lead around the "
            f"tapped value. Received: {tap}. {error}"
        ) from error
