"""What the members of a team say, side by side."""

import keras
import numpy as np

from keras_kd.features.model_spec import input_spec_among, inspect_model
from keras_kd.features.own_inputs import own_inputs
from keras_kd.features.predict_on_batch import predict_on_batch
from keras_kd.features.preprocessing import check_has_none
from keras_kd.teachers.members import check_member, check_one_output, kinds_of
from keras_kd.teachers.per_output import PerOutput

_BATCH = 256


def member_predictions(models, from_logits):
    """Returns the `keras.Model` that gives the members' probabilities side by side, `(B, M * C)`.

    Args:
        models: A list of models.
        from_logits: As in `declared_kinds`.

    Raises:
        TypeError, ValueError: If they do not choose one of the same classes, on inputs that can be
            joined, or it cannot be known what one of them returns.
    """
    if not isinstance(models, list | tuple) or not models:
        raise TypeError(
            f"`models` must be a list of at least one keras.Model. Received: models={models!r}"
        )
    for number, model in enumerate(models):
        check_member(f"models[{number}]", model)
    specs = [inspect_model(model, input_spec_among(model, *models), {}) for model in models]
    for number, spec in enumerate(specs):
        check_one_output(f"models[{number}]", spec)
    shapes = [tuple(spec.outputs.shape) for spec in specs]
    if len(set(shapes)) > 1 or len(shapes[0]) != 2 or (shapes[0][1] or 0) < 2:
        raise ValueError(
            "The members must all choose one of the same C classes, two at least, with outputs "
            f"(B, C). Received: outputs of shapes {shapes}"
        )
    if "sigmoid" in [spec.kinds[0] for spec in specs]:
        raise ValueError(
            "The members must give one distribution over the classes, logits or a softmax. "
            f"Received: outputs of {[spec.kinds[0] for spec in specs]}"
        )
    kinds = kinds_of(models, specs, from_logits, needed=True, whose="Stacked")
    names = [f"member_{number}" for number in range(len(models))]
    for model in models:
        check_has_none(model, "Stacked")
    team = PerOutput(dict(zip(names, models, strict=True)), name="members")
    inputs = keras.tree.map_structure(
        lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name), team.input
    )
    said = team(inputs)
    # Names of their own: Keras' would hang on what was made before, and with them the fingerprint.
    softmax = keras.layers.Softmax(dtype="float32", name="as_probabilities")
    as_given = keras.layers.Identity(dtype="float32", name="as_given")
    probabilities = [
        softmax(said[name]) if kind else as_given(said[name])
        for name, (kind,) in zip(names, kinds, strict=True)
    ]
    joined = probabilities[0]
    if len(models) > 1:
        joined = keras.layers.Concatenate(dtype="float32", name="side_by_side")(probabilities)
    return keras.Model(inputs, joined, name="predictions")


def predicted(predictions, x):
    """Returns what such a model gives of arrays, float32."""
    x = own_inputs(x, predictions)
    parts = [
        predict_on_batch(predictions, rows(x, slice(start, start + _BATCH)))
        for start in range(0, len(keras.tree.flatten(x)[0]), _BATCH)
    ]
    return np.concatenate([np.asarray(part, "float32") for part in parts])


def rows(x, chosen):
    """Returns the chosen examples of a nest of arrays."""
    return keras.tree.map_structure(lambda leaf: leaf[chosen], x)
