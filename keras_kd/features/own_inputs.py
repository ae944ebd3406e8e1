"""What of a batch's inputs by name a model takes."""

import contextlib

import keras


def own_inputs(inputs, model):
    """Returns of inputs by name those that a model takes; others are for another model.

    Keras gives a functional model with inputs by name whatever the dict holds, in the order of the
    names, and warns at most: with one name too many it reads wrong data.

    Args:
        inputs: A batch's inputs, or their specifications.
        model: The model that is to run on them.
    """
    # Functional models have both; others look names up themselves, or have none.
    wanted = getattr(model, "input", None) if getattr(model, "inputs", None) else None
    if not isinstance(inputs, dict) or not isinstance(wanted, dict):
        return inputs
    return {name: inputs[name] for name in wanted if name in inputs}


@contextlib.contextmanager
def told_whose(inputs, model, role):
    """Says whose inputs do not fit where a call fails, which Keras does not.

    Keras decides what a model takes: a Sequential convolutional net runs on other resolutions.

    Args:
        inputs: A batch's inputs, of those that the model takes.
        model: The model that is called.
        role: `"student"` or `"teacher"`, for the message.
    """
    try:
        yield
    except Exception as error:
        misfit = _misfit(inputs, model)
        if misfit is None:
            raise
        wanted, found = misfit
        raise ValueError(
            f"The {role} takes inputs of another shape than it is given: data for two models of "
            "different inputs are x={'inputs': x, 'teacher_inputs': x}, what the student takes and "
            f"what the teacher does. Received: inputs of shape {found}, {role} '{model.name}' of "
            f"{wanted}"
        ) from error


def _misfit(inputs, model):
    """Returns the shape that a model wants and the one it is given where these differ, or None."""
    tensors = keras.tree.flatten(getattr(model, "inputs", None) or [])
    if isinstance(inputs, dict):
        pairs = [(tensor, inputs[tensor.name]) for tensor in tensors if tensor.name in inputs]
    else:
        leaves = keras.tree.flatten(inputs)
        pairs = list(zip(tensors, leaves, strict=True)) if len(tensors) == len(leaves) else []
    for tensor, leaf in pairs:
        shape = getattr(leaf, "shape", None)
        if shape is None or getattr(shape, "rank", 0) is None:
            continue
        wanted, found = tuple(tensor.shape), tuple(shape)
        if not _fit(wanted, found):
            return wanted, found
    return None


def _fit(wanted, found):
    if len(wanted) != len(found):  # Keras adds a last axis of one to what lacks it, or drops it
        longer, shorter = sorted((wanted, found), key=len, reverse=True)
        return len(longer) == len(shorter) + 1 and longer[-1] == 1
    sizes = zip(wanted[1:], found[1:], strict=True)
    return not any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in sizes)
