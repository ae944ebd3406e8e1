"""What of a batch's inputs by name a model takes."""


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
