"""KerasHub's tasks, which bring a preprocessor that their call does not run.

What is no batch of a task's own inputs by name is raw: the task's `predict`, `evaluate` and `fit`
send it through the preprocessor, and so does whatever asks a model for predictions here. A step
cannot: preprocessors cut strings and run outside of compiled functions.
"""

import keras


def has_preprocessor(model) -> bool:
    """Whether a model is a task that has a preprocessor."""
    return hasattr(model, "preprocess_samples") and (
        getattr(model, "preprocessor", None) is not None
    )


def takes_raw(model, x) -> bool:
    """Whether a batch has to go through a model's preprocessor before the model is called."""
    if not has_preprocessor(model):
        return False
    wanted = getattr(model, "input", None) if getattr(model, "inputs", None) else None
    return not (isinstance(wanted, dict) and isinstance(x, dict) and set(wanted) <= set(x))


def preprocessed(model, x):
    """Returns a batch as the model's call takes it."""
    if not takes_raw(model, x):
        return x
    found = model.preprocess_samples(x)
    return found[0] if isinstance(found, tuple) else found


def predict_on_batch(model, x):
    """Returns a model's answers to a batch, raw or preprocessed."""
    if hasattr(model, "preprocess_samples") and not takes_raw(model, x):
        return keras.Model.predict_on_batch(model, x)  # its own would preprocess once more
    return model.predict_on_batch(x)


def check_preprocessed(model, x, role):
    """Raises a ValueError if a step would call a task on what its preprocessor has not seen."""
    if not takes_raw(model, x):
        return
    inputs = getattr(model, "input", None)
    wanted = sorted(inputs) if isinstance(inputs, dict) else "preprocessed inputs"
    raise ValueError(
        f"The {role} is a task with a preprocessor, {type(model.preprocessor).__name__}, which a "
        "Distiller's step cannot run. Preprocess the data, `dataset.map(lambda x, y: "
        f"({role}.preprocessor(x), y))`, and say that they are: `{role}.preprocessor = None`; or "
        "keep the teacher's answers to raw data in a keras_kd.TeacherCache. Received: "
        f"{_shown(x)}; '{model.name}' is called on {wanted}"
    )


def _shown(x):
    if isinstance(x, dict):
        return f"inputs {sorted(x)}"
    return f"inputs of shape {keras.tree.map_structure(lambda v: getattr(v, 'shape', None), x)}"
