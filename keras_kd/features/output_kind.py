"""Whether a model returns logits or probabilities, and of which kind."""

import keras

LOGITS = "logits"
# Where it is not known what made them, or where several things did.
PROBABILITIES = "probabilities"

# Layers that hand scores on: what goes in is what comes out, rearranged or averaged.
_PASSING = (
    keras.layers.Average,
    keras.layers.AveragePooling1D,
    keras.layers.AveragePooling2D,
    keras.layers.Concatenate,
    keras.layers.Cropping1D,
    keras.layers.Cropping2D,
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.Identity,
    keras.layers.Permute,
    keras.layers.Reshape,
)
_SCORING = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Dense,
    keras.layers.EinsumDense,
)


def output_kind(value, recording) -> str | None:
    """Finds out from the layers that ran what `value` holds.

    Args:
        value: An output of the model, from the forward pass that `recording` saw.
        recording: A `Recording` of all the model's layers.

    Returns:
        `"logits"`; for probabilities what made them, `"softmax"` or `"sigmoid"`, or just
        `"probabilities"`; None if it cannot be known.
    """
    return _kind(value, recording.calls)


def is_logits(kind: str | None) -> bool | None:
    """Returns True for logits, False for probabilities, None for what is unknown."""
    return None if kind is None else kind == LOGITS


def _kind(value, calls):
    # The innermost layer that gave this very tensor is the first to have reported it.
    index = next((i for i, (_, _, given) in enumerate(calls) if given is value), None)
    kind = None if index is None else _given_by_last(calls[: index + 1])
    kept = getattr(value, "_keras_logits", None) is not None  # as softmax and sigmoid leave it
    return PROBABILITIES if kept and kind in (None, LOGITS) else kind


def _given_by_last(calls):
    *earlier, (layer, taken, _) = calls
    if isinstance(layer, keras.layers.TimeDistributed):
        layer = layer.layer
    if hasattr(layer, "gives_logits"):  # a layer that says so itself
        return {True: LOGITS, False: PROBABILITIES, None: None}[layer.gives_logits]
    activation = getattr(layer, "activation", None)
    if activation is keras.activations.softmax or isinstance(layer, keras.layers.Softmax):
        return "softmax"
    if activation is keras.activations.sigmoid:
        return "sigmoid"
    if isinstance(layer, _SCORING):
        return LOGITS if activation in (None, keras.activations.linear) else None
    is_linear = isinstance(layer, keras.layers.Activation) and activation is (
        keras.activations.linear
    )
    if is_linear or isinstance(layer, _PASSING):
        return _joined({_taken(value, earlier) for value in keras.tree.flatten(taken)})
    return None


def _joined(kinds):
    if len(kinds) == 1:
        return kinds.pop()
    return None if kinds & {None, LOGITS} else PROBABILITIES


def _taken(value, earlier):
    # Only among what ran before: a layer may give the very tensor that it took.
    kind = _kind(value, earlier)
    if kind is None and earlier:
        # Autocast hands a layer a converted copy: then it is the layer before that gave it.
        given = earlier[-1][2]
        if getattr(given, "shape", None) == value.shape and given.dtype != value.dtype:
            return _kind(given, earlier)
    return kind
