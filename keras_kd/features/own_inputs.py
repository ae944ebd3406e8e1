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
    if len(wanted) != len(given) or None in given:
        return
    for theirs, found in zip(wanted, map(tuple, given), strict=True):
        sizes = zip(theirs[1:], found[1:], strict=False)
        differ = any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in sizes)
        if len(theirs) == len(found) and differ:
            raise ValueError(
                f"The {role} takes inputs of another shape than it is given: data for two models "
                "of different inputs are x={'inputs': x, 'teacher_inputs': x}, what the student "
                f"takes and what the teacher does. Received: inputs of shape {found}, {role} "
                f"'{model.name}' of {theirs}"
            )
