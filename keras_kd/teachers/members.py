"""Checks of models that answer together."""

import keras

from keras_kd.checks import check_flag


def check_member(place, model):
    """Raises if what stands at a place of an argument is no built model.

    Args:
        place: Where it stands, such as `"models[0]"`, for the message.
        model: What stands there.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"A keras.Model was expected. Received: {place}={model!r} of type "
            f"{type(model).__name__}"
        )
    if not model.built:
        raise ValueError(
            "A member is not built, so its shapes are unknown: call it on a batch of data. "
            f"Received: {place}='{model.name}', built=False"
        )


def check_one_output(place, spec):
    """Raises a ValueError if a model gives more than one tensor; `spec` is its `ModelSpec`."""
    if keras.tree.is_nested(spec.outputs):
        shapes = keras.tree.map_structure(lambda x: tuple(x.shape), spec.outputs)
        raise ValueError(
            "A member must give one output, a tensor: pass one of several as a model, "
            f"keras.Model(model.input, output). Received: {place} with outputs {shapes}"
        )


def declared_kinds(from_logits, count):
    """Returns for each of `count` models what the user says it returns.

    Args:
        from_logits: True (logits), False (probabilities) or None (to be found out), for all models
            or a list with one for each.
        count: How many models.
    """
    if not isinstance(from_logits, list | tuple):
        declared = [from_logits] * count
    elif len(from_logits) != count:
        raise ValueError(
            f"`from_logits` must be one flag, or one for each of the {count} models. "
            f"Received: from_logits={from_logits}"
        )
    else:
        declared = list(from_logits)
    return [check_flag("from_logits", flag, or_none=True) for flag in declared]


def kinds_of(models, specs, from_logits, *, needed, whose):
    """Returns for every member whether each of its outputs is logits.

    Args:
        models, specs: The models and their `ModelSpec`s.
        from_logits: As in `declared_kinds`.
        needed: Whether it must be known.
        whose: The class that asks, for the message.
    """
    kinds = []
    for model, spec, flag in zip(
        models, specs, declared_kinds(from_logits, len(models)), strict=True
    ):
        spec.check_classes_last(model.name)
        found = [kind if flag is None else flag for kind in spec.is_logits]
        if None in found and needed:
            raise ValueError(
                "It cannot be known whether a member returns logits or probabilities: say "
                f"{whose}(from_logits=True) or False. Received: member '{model.name}', "
                "from_logits=None"
            )
        kinds.append(found)
    return kinds


def check_activation(activation, average, models, specs, from_logits):
    """Raises a ValueError if members are taken for a softmax and are none, or the other way round.

    An average of logits, which may be any values, is not asked.

    Args:
        activation: `"softmax"` or `"sigmoid"`, how their logits become probabilities.
        average: One of `AVERAGES`.
        models, specs: The models and their `ModelSpec`s.
        from_logits: As in `declared_kinds`; what is declared to be logits ends in no activation.
    """
    if average == "logits":
        return
    for model, spec, flag in zip(
        models, specs, declared_kinds(from_logits, len(models)), strict=True
    ):
        for output, kind in zip(keras.tree.flatten(spec.outputs), spec.kinds, strict=True):
            shape = tuple(output.shape)
            received = (
                f"Received: member '{model.name}' with outputs of shape {shape}, "
                f"average={average!r}, activation={activation!r}"
            )
            if activation == "softmax" and shape[-1] == 1:
                raise ValueError(
                    "A softmax over one class always is 1, whatever a member says: take "
                    "activation='sigmoid' where one number answers yes or no, or "
                    f"average='logits' where it is a value, as in a regression. {received}"
                )
            if flag is not True and {activation, kind} == {"softmax", "sigmoid"}:
                raise ValueError(
                    f"A member ends in a {kind}, so its numbers are no probabilities of a "
                    f"{activation}: take activation={kind!r}. {received}"
                )
