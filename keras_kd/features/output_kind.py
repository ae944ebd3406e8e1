"""Whether a model returns logits or probabilities, and of which kind."""

import keras

from keras_kd.features.class_axis import axis_after, softmax_axis

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


def output_kind(value, recording) -> tuple[str | None, int]:
    """Finds out from the layers that ran what `value` holds.

    Args:
        value: An output of the model, from the forward pass that `recording` saw.
        recording: A `Recording` of all the model's layers.

    Returns:
        `"logits"`; for probabilities what made them, `"softmax"` or `"sigmoid"`, or just
        `"probabilities"`; None if it cannot be known. And the axis of the classes, counted from
        the end: another than -1 is that of a softmax.
    """
    kind, axis = _kind(value, recording.calls)
    if kind is None:
        kind = _kind_by_compile_of_one(value, recording.calls)
    return kind, -1 if axis is None else axis - len(value.shape)


def kind_by_compile(model) -> str | None:
    """Returns what the loss that a model was compiled with takes its only output for."""
    from_logits = getattr(getattr(model, "loss", None), "from_logits", None)
    if not isinstance(from_logits, bool):
        return None
    return LOGITS if from_logits else PROBABILITIES


def _kind_by_compile_of_one(value, calls):
    """Returns what a model inside was compiled for that gave this very tensor, or None."""
    models = (m for m, _, given in calls if given is value and isinstance(m, keras.Model))
    return next((kind for kind in map(kind_by_compile, models) if kind is not None), None)


def is_scoring(layer) -> bool:
    """Whether a layer makes scores of features, as Dense and convolutional layers do."""
    return isinstance(layer, _SCORING)


def is_logits(kind: str | None) -> bool | None:
    """Returns True for logits, False for probabilities, None for what is unknown."""
    return None if kind is None else kind == LOGITS


def _kind(value, calls):
    """Returns the kind, and for a softmax its class axis from 0."""
    # The innermost layer that gave this very tensor is the first to have reported it.
    index = next((i for i, (_, _, given) in enumerate(calls) if given is value), None)
    kind, axis = (None, None) if index is None else _given_by_last(calls[: index + 1])
    kept = getattr(value, "_keras_logits", None) is not None  # as softmax and sigmoid leave it
    if kept and kind in (None, LOGITS):
        # Over which axis a function's softmax ran is known where there is one only.
        return (PROBABILITIES, None) if len(value.shape) == 2 else (None, None)
    return kind, axis


def _given_by_last(calls):
    *earlier, (layer, taken, given) = calls
    outside = 0
    while isinstance(layer, keras.layers.TimeDistributed):
        layer, outside = layer.layer, outside + 1
    if hasattr(layer, "gives_logits"):  # a layer that says so itself
        return {True: LOGITS, False: PROBABILITIES, None: None}[layer.gives_logits], None
    activation = getattr(layer, "activation", None)
    if activation is keras.activations.softmax or isinstance(layer, keras.layers.Softmax):
        axis = softmax_axis(layer, len(given.shape), outside)
        return (None, None) if axis is None else ("softmax", axis)
    if activation is keras.activations.sigmoid:
        return "sigmoid", None
    if is_scoring(layer) or _is_tied_head(layer, given):
        is_linear = activation in (None, keras.activations.linear)
        return LOGITS if is_linear else None, None
    is_linear = isinstance(layer, keras.layers.Activation) and activation is (
        keras.activations.linear
    )
    if is_linear or isinstance(layer, _PASSING):
        return _handed_on(layer, taken, given, earlier, outside)
    return None, None


def _is_tied_head(layer, given):
    """Whether an embedding has run in reverse, from vectors to scores of tokens."""
    reversible = isinstance(layer, keras.layers.ReversibleEmbedding)
    return reversible and tuple(given.shape)[-1:] == (layer.input_dim,)


def _handed_on(layer, taken, given, earlier, outside):
    """What a layer gives that hands on what it takes."""
    found = set()
    for value in keras.tree.flatten(taken):
        kind, axis = _taken(value, earlier)
        if axis is not None:
            shapes = tuple(value.shape)[outside:], tuple(given.shape)[outside:]
            axis = axis_after(layer, axis - outside, *shapes) if axis > outside else None
            kind, axis = (None, None) if axis is None else (kind, axis + outside)
        found.add((kind, axis))
    if len(found) == 1:
        return found.pop()
    kinds = {kind for kind, _ in found}
    softmaxes_differ = len(kinds) == 1
    return (None if softmaxes_differ or kinds & {None, LOGITS} else PROBABILITIES), None


def _taken(value, earlier):
    # Only among what ran before: a layer may give the very tensor that it took.
    found = _kind(value, earlier)
    if found[0] is None and earlier:
        # Autocast hands a layer a converted copy: then it is the layer before that gave it.
        given = earlier[-1][2]
        if getattr(given, "shape", None) == value.shape and given.dtype != value.dtype:
            return _kind(given, earlier)
    return found
