"""What of a batch's inputs by name a model takes."""

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


def check_shapes(inputs, model, role):
    """Raises a ValueError if a model cannot take inputs of these shapes; Keras does not say whose.

    Args:
        inputs: A batch's inputs, of those that the model takes.
        model: The model.
        role: `"student"` or `"teacher"`, for the message.
    """
    wanted = [tuple(tensor.shape) for tensor in keras.tree.flatten(getattr(model, "inputs", []))]
    given = [getattr(leaf, "shape", None) for leaf in keras.tree.flatten(inputs)]
    known = [shape is not None and getattr(shape, "rank", 0) is not None for shape in given]
    if len(wanted) != len(given) or not all(known):
        return
    for theirs, found in zip(wanted, map(tuple, given), strict=True):
        if not _fit(theirs, found):
            raise ValueError(
                f"The {role} takes inputs of another shape than it is given: data for two models "
                "of different inputs are x={'inputs': x, 'teacher_inputs': x}, what the student "
                f"takes and what the teacher does. Received: inputs of shape {found}, {role} "
                f"'{model.name}' of {theirs}"
            )


def _fit(wanted, found):
    if len(wanted) != len(found):  # Keras adds a last axis of one to what lacks it, or drops it
        longer, shorter = sorted((wanted, found), key=len, reverse=True)
        return len(longer) == len(shorter) + 1 and longer[-1] == 1
    sizes = zip(wanted[1:], found[1:], strict=True)
    return not any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in sizes)
