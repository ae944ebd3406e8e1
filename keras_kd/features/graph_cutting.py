"""Cutting a Functional or Sequential model at a layer."""

import dataclasses

import keras

from keras_kd.features.dtype_clone import dtype_clone
from keras_kd.features.layer_tree import find_layer, layer_paths


def can_be_cut(model) -> bool:
    """Whether a model has a graph to cut."""
    return isinstance(model, keras.Sequential) or hasattr(model, "operations")


def check_can_be_cut(model, role):
    """Raises a ValueError if a model has no graph to cut."""
    if not can_be_cut(model):
        raise ValueError(
            f"Only Functional and Sequential models can be cut at a layer. Received: {role} "
            f"'{model.name}' of class {type(model).__name__}"
        )


def file_copy(model, role):
    """Copies a model through Keras' file format, which keeps all of its state."""
    check_can_be_cut(model, role)
    return dtype_clone(model)


def fresh_inputs(model):
    """Returns new `keras.Input`s like those of a model, in their structure."""
    return keras.tree.map_structure(
        lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, sparse=x.sparse, name=x.name),
        ends(model)[0],
    )


def ends(model):
    """Returns a model's symbolic inputs and outputs in their structures."""
    if isinstance(model, keras.Sequential):
        return model.inputs[0], model.outputs[0]
    return model.input, model.output


def tapped(model, tap, role):
    """Returns the tensor of a model's graph that a tap reads."""
    calls = _calls(model, find_layer(model, tap.layer, role))
    if not calls or tap.side not in ("output", "input"):
        raise ValueError(
            f"A {role} is cut at the output or the input of a layer of its own, not of one inside "
            f"a nested model or layer. Received: {tap}"
        )
    call = calls[tap.call or 0]
    if tap.side == "output" and len(call.outputs) > 1:
        raise ValueError(
            f"The layer gives {len(call.outputs)} tensors: cut at one that gives one. Received: "
            f"{tap}"
        )
    return call.input_tensors[0] if tap.side == "input" else call.outputs[0]


def up_to(model, tap, role):
    """Returns the part of a model from its inputs to a tap, also one inside nested models.

    Args:
        model: A Functional or Sequential model; its layers are in what is returned, too.
        tap: A `Tap` of an output or an input.
        role: `"student"` or `"teacher"`, for messages.

    Raises:
        ValueError: If there is no such layer, it runs several times and the tap does not say which,
            or no graph leads there.
    """
    check_can_be_cut(model, role)
    layer = find_layer(model, tap.layer, role)
    nested = next((each for each in _nested(model) if _is_in(layer, each)), None)
    if nested is None or _calls(model, layer):
        _check_call(_calls(model, layer), tap)
        return between(ends(model)[0], tapped(model, tap, role), model.name, role, tap)
    calls = _calls(model, nested)
    _check_call(calls, dataclasses.replace(tap, call=None))
    path = next(path for path, each in layer_paths(nested).items() if each is layer)
    part = up_to(nested, dataclasses.replace(tap, layer=path), role)
    arguments = calls[0].arguments
    taken = arguments.args[0] if arguments.args else next(iter(arguments.kwargs.values()))
    # Joined over new inputs, so that the model's own graph stays as it is.
    fresh = fresh_inputs(model)
    given = _on(fresh, model, taken, role, tap)
    return keras.Model(fresh, part(given), name=model.name)


def between(inputs, outputs, name, role, tap):
    """Returns the model from one tensor of a graph to others, or says why there is none."""
    try:
        return keras.Model(inputs, outputs, name=name)
    except ValueError as error:
        raise ValueError(
            f"The {role} cannot be cut there: other paths (a mask is one, too) lead around the "
            f"tapped value. Received: {tap}. {error}"
        ) from error


def _nested(model):
    return [layer for layer in model.layers if isinstance(layer, keras.Model) and can_be_cut(layer)]


def _is_in(layer, model):
    return any(each is layer for each in layer_paths(model).values())


def _calls(model, layer):
    """Returns the calls of a layer in a model's own graph, in their order."""
    # Keras has no public way to one of several calls, nor to the call of a nested model.
    graph = model._functional if isinstance(model, keras.Sequential) else model
    in_order = [nodes for _, nodes in sorted(graph._nodes_by_depth.items(), reverse=True)]
    return [node for nodes in in_order for node in nodes if node.operation is layer]


def _check_call(calls, tap):
    """Raises if it is not clear which of a layer's calls a tap means."""
    if tap.call is None and len(calls) > 1:
        raise ValueError(
            f"The layer, or what holds it, runs {len(calls)} times in a forward pass: cut where "
            f"it runs once, or say which call, Tap({tap.layer!r}, call=0), of a layer of the "
            f"model's own. Received: layer={tap.layer!r}"
        )
    if tap.call is not None and calls and tap.call >= len(calls):
        raise ValueError(
            f"The layer runs {len(calls)} times in a forward pass. Received: {tap}, available: "
            f"call=0 to call={len(calls) - 1}"
        )


def _on(fresh, model, taken, role, tap):
    """Returns what a model's graph makes, up to the tensors `taken`, of new inputs."""
    inputs = ends(model)[0]
    leaves = zip(keras.tree.flatten(inputs), keras.tree.flatten(fresh), strict=True)
    new = {id(old): leaf for old, leaf in leaves}
    if all(id(leaf) in new for leaf in keras.tree.flatten(taken)):
        return keras.tree.map_structure(lambda leaf: new[id(leaf)], taken)
    return between(inputs, taken, model.name, role, tap)(fresh)
