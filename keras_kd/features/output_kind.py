"""Whether a model returns logits or probabilities."""

import keras

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


def output_is_logits(value, recording) -> bool | None:
    """Finds out from the layers that ran whether `value` holds logits.

    Args:
        value: An output of the model, from the forward pass that `recording` saw.
        recording: A `Recording` of all the model's layers.

    Returns:
        True for logits, False for probabilities (softmax or sigmoid), None if it cannot be known.
    """
    return _kind(value, recording.calls)


def _kind(value, calls):
    if getattr(value, "_keras_logits", None) is not None:
        return False
    # The innermost layer that gave this very tensor is the first to have reported it.
    index = next((i for i, (_, _, given) in enumerate(calls) if given is value), None)
    return None if index is None else _given_by_last(calls[: index + 1])


def _given_by_last(calls):
    *earlier, (layer, taken, _) = calls
    if isinstance(layer, keras.layers.TimeDistributed):
        layer = layer.layer
    if hasattr(layer, "gives_logits"):  # a layer that says so itself
        return layer.gives_logits
    activation = getattr(layer, "activation", None)
    if activation in (keras.activations.softmax, keras.activations.sigmoid):
        return False
    if isinstance(layer, keras.layers.Softmax):
        return False
    if isinstance(layer, _SCORING):
        return True if activation in (None, keras.activations.linear) else None
    is_linear = isinstance(layer, keras.layers.Activation) and activation is (
        keras.activations.linear
    )
    if is_linear or isinstance(layer, _PASSING):
        kinds = {_taken(value, earlier) for value in keras.tree.flatten(taken)}
        return kinds.pop() if len(kinds) == 1 else None
    return None


def _taken(value, earlier):
    # Only among what ran before: a layer may give the very tensor that it took.
    kind = _kind(value, earlier)
    if kind is None and earlier:
        # Autocast hands a layer a converted copy: then it is the layer before that gave it.
        given = earlier[-1][2]
        if getattr(given, "shape", None) == value.shape and given.dtype != value.dtype:
            return _kind(given, earlier)
    return kind
