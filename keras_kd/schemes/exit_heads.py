"""The classifiers that a model gets at its exits."""

import keras

from keras_kd.checks import check_takes
from keras_kd.features.layer_tree import nearest

_WANTED = "head(exit_name, feature) -> (hidden, scores)"
_NARROWEST = 8  # channels of a bottleneck at least
# What computes in half precision on weights of float32.
_MIXED = {"float16": "mixed_float16", "bfloat16": "mixed_bfloat16"}


def pooling(shape):
    """Returns the layer that pools values of a shape `(B, ..., C)` to `(B, C)`."""
    kinds = {
        2: keras.layers.Identity,
        3: keras.layers.GlobalAveragePooling1D,
        4: keras.layers.GlobalAveragePooling2D,
        5: keras.layers.GlobalAveragePooling3D,
    }
    if len(shape) not in kinds:
        raise ValueError(
            "Vectors (B, C), sequences (B, L, C) or maps were expected where a classifier reads. "
            f"Received: shape={tuple(shape)}"
        )
    return kinds[len(shape)](name="pooling")


def make_heads(head, features, width, outputs, activation) -> dict:
    """Returns a head for every exit, models from a feature to `{"hidden", "scores"}`.

    Args:
        head: None for the default head, a function as in `SelfDistiller`, or such models by exit.
        features: The `KerasTensor` of each exit's value, by the exit's name.
        width: Length D of the deepest feature, once it is pooled.
        outputs: The `KerasTensor` of the model's output.
        activation: What the default head ends in.

    Raises:
        TypeError, ValueError: If a head is none, or gives other shapes.
    """
    if isinstance(head, dict):
        for name in [*head, *features]:
            if name not in features or name not in head:
                raise ValueError(
                    f"`head` must have one model for each exit. Received: head for {list(head)}, "
                    f"exits {list(features)}.{nearest(name, features)}"
                )
        heads = {name: head[name] for name in features}
    elif head is not None and not callable(head):
        raise TypeError(f"`head` must be None or a function {_WANTED}. Received: head={head!r}")
    else:
        if head is None:
            _check_default(outputs)
        else:
            check_takes("head", head, _WANTED, (2,))
        heads = {}
        for name, feature in features.items():
            inputs = keras.Input(feature.shape[1:], dtype=feature.dtype, name="feature")
            if head is None:
                made = _default(inputs, width, outputs, activation)
            else:
                made = _pair(name, head(name, inputs))
            ends = dict(zip(("hidden", "scores"), made, strict=True))
            heads[name] = keras.Model(inputs, ends, name=f"{name}_head")
    for name, each in heads.items():
        _check(name, each, width, outputs)
    return heads


def _default(feature, width, outputs, activation):
    """A bottleneck, pooling, a vector as long as the deepest feature, and its scores."""
    layers, rank = keras.layers, len(feature.shape)
    axis = 1 if rank > 3 and keras.config.image_data_format() == "channels_first" else -1
    narrow = max(_NARROWEST, feature.shape[axis] // 4)
    value = feature
    if rank in (4, 5):
        convolution = layers.Conv2D if rank == 4 else layers.Conv3D
        for size in (1, 3):
            value = convolution(narrow, size, padding="same", use_bias=False)(value)
            value = layers.BatchNormalization(axis=axis, momentum=0.9)(value)
            value = layers.ReLU()(value)
    else:
        value = layers.Dense(narrow if rank == 3 else width, "relu")(value)
    hidden = layers.Dense(width, name="hidden")(pooling(value.shape)(value))
    dtype = _MIXED.get(outputs.dtype, outputs.dtype)  # the weights stay float32
    return hidden, layers.Dense(outputs.shape[-1], activation, dtype=dtype, name="scores")(hidden)


def _check_default(outputs):
    if len(outputs.shape) != 2 or outputs.shape[-1] is None:
        raise ValueError(
            "The default head gives one vector of scores for an example, (B, C): write a "
            f"{_WANTED}. Received: the model's output of shape {tuple(outputs.shape)}"
        )


def _pair(name, made):
    if not isinstance(made, list | tuple) or len(made) != 2:
        raise ValueError(
            f"`head` must return two values, {_WANTED}. Received: {type(made).__name__} at exit "
            f"{name!r}"
        )
    return made


def _check(name, head, width, outputs):
    """Raises if a head's answers do not fit the deepest classifier's."""
    given = getattr(head, "output", None)
    if not isinstance(given, dict) or set(given) != {"hidden", "scores"}:
        raise TypeError(
            "A head must be a functional keras.Model that gives {'hidden': ..., 'scores': ...}. "
            f"Received: {head!r} at exit {name!r}"
        )
    if tuple(given["scores"].shape) != tuple(outputs.shape):
        raise ValueError(
            "A head's scores must have the shape of the model's output. Received: "
            f"{tuple(given['scores'].shape)} at exit {name!r}, the model {tuple(outputs.shape)}"
        )
    if tuple(given["hidden"].shape)[1:] != (width,):
        raise ValueError(
            "A head's hidden vector must be as long as the deepest feature, which it is held "
            f"against. Received: {tuple(given['hidden'].shape)} at exit {name!r}, "
            f"(None, {width}) was expected"
        )
