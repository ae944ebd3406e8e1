"""What a model gives, found without running it on data."""

import dataclasses

import keras

from keras_kd.features.layer_tree import layer_paths
from keras_kd.features.output_kind import is_logits, kind_by_compile, output_kind
from keras_kd.features.recording import Recording, watched
from keras_kd.features.tap import ATTENTION_SIDES
from keras_kd.features.undisturbed import modes_kept
from keras_kd.losses.formula.keras_mask import keras_mask

# What is raised, by backend, where a model cannot run without knowing a size: JAX has a symbol for
# it, and on PyTorch Keras tries 83, which may be more than the model's largest.
_UNKNOWN_SIZE = {"jax": "InconclusiveDimensionOperation", "torch": "RuntimeError"}


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """Shapes and kinds of what a model gives.

    Attributes:
        outputs: The model's output structure, of `keras.KerasTensor`.
        kinds: For each output in flat order what `output_kind` finds.
        class_axes: Likewise the axis of its classes, counted from the end.
        taps: `{tap: keras.KerasTensor}`, or a dict of them for attention vectors.
        has_masks: Whether an output comes with a mask.
    """

    outputs: object
    kinds: list
    class_axes: list
    taps: dict
    has_masks: bool

    @property
    def is_logits(self):
        """For each output in flat order: True, False (probabilities) or None (unknown)."""
        return [is_logits(kind) for kind in self.kinds]

    def check_classes_last(self, name):
        """Raises a ValueError if a softmax of the model of that name is not over the last axis."""
        if any(axis != -1 for axis in self.class_axes):
            raise ValueError(
                f"The softmax of '{name}' must be over the last axis: put a keras.layers.Permute "
                f"behind it. Received: axes of the classes, from the end, {self.class_axes}"
            )


class _Symbolic(keras.layers.Layer):
    """Runs a function on symbolic tensors, through whatever backend ops it uses."""

    def __init__(self, function):
        super().__init__(autocast=False)
        self.function = function
        self.error = None

    def call(self, inputs):
        try:
            return self.function(inputs)
        except Exception as error:
            self.error = error
            raise


def symbolic_call(function, inputs):
    """Returns the `KerasTensor`s that `function(inputs)` would give; nothing is computed."""
    try:
        return _trace(function, inputs)
    except Exception as error:
        if type(error).__name__ != _UNKNOWN_SIZE.get(keras.backend.backend()):
            raise
    # Two known sizes tell as much, as small as they can be: a model may have a largest one.
    filled = [
        keras.tree.map_structure(lambda x, size=size: _resized(x, lambda d: d or size), inputs)
        for size in (2, 3)
    ]
    first, second = (_trace(function, each) for each in filled)
    return keras.tree.map_structure(_where_alike, first, second)


def _trace(function, inputs):
    layer = _Symbolic(function)
    try:
        return layer(inputs)
    except Exception:
        if layer.error is None:
            raise
        raise layer.error from None  # without what Keras tells of the layer that is only ours


def _resized(x, change):
    return keras.KerasTensor(tuple(change(size) for size in x.shape), x.dtype, name=x.name)


def _where_alike(one, other):
    """A tensor whose sizes are unknown where those of `one` and `other` differ."""
    if one is None:
        return None
    sizes = iter(a if a == b else None for a, b in zip(one.shape, other.shape, strict=True))
    return _resized(one, lambda _: next(sizes))


def input_spec(model):
    """Returns the model's inputs as `KerasTensor`s, or None if the model does not tell."""
    if not model.built:
        return None
    if getattr(model, "inputs", None):
        inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
        return keras.tree.map_structure(
            lambda x: keras.KerasTensor(x.shape, x.dtype, name=x.name), inputs
        )
    shapes = model.get_build_config() or {}
    shape = shapes.get("input_shape")
    return None if shape is None else _tensors_of(shape)


def input_spec_among(model, *models):
    """Returns the inputs that `model` shares with `models`, the two of a Distiller.

    A subclassed model does not always tell its inputs: then another one does. A size that one of
    them fixes, as stateful models do with the batch, holds for all.

    Raises:
        ValueError: If no model tells.
    """
    specs = [input_spec(other) for other in (model, *models) if other is not None]
    specs = [spec for spec in specs if spec is not None]
    if not specs:
        raise ValueError(
            "The shape of the model's inputs is not known: call it on a batch of data before "
            f"it is distilled. Received: model '{model.name}'"
        )
    sizes = [leaf.shape[0] for leaf in keras.tree.flatten(specs[1:])]
    size = next((size for size in sizes if size is not None), None)
    leaves = [keras.tree.flatten(spec) for spec in specs]
    ranks = [[len(leaf.shape) for leaf in of_model] for of_model in leaves]
    alike = [of_model for of_model, rank in zip(leaves, ranks, strict=True) if rank == ranks[0]]
    known = [
        keras.KerasTensor((size, *_known_sizes(same)[1:]), same[0].dtype, name=same[0].name)
        for same in zip(*alike, strict=True)
    ]
    return keras.tree.pack_sequence_as(specs[0], known)


def _known_sizes(tensors):
    """Returns each axis' size from the first of the tensors that knows it."""
    axes = zip(*(tensor.shape for tensor in tensors), strict=True)
    return [next((size for size in sizes if size is not None), None) for sizes in axes]


def inspect_model(model, inputs, taps: dict) -> ModelSpec:
    """Traces one inference of `model`.

    Args:
        model: A built model.
        inputs: Its inputs as `KerasTensor`s.
        taps: `{tap: layer}` to read inside.

    Returns:
        A `ModelSpec`.

    Raises:
        ValueError: If a tap reads nothing, or something that is not one tensor.
    """
    found: list = []
    masks: list = []

    def run(x):
        with Recording() as recording:
            outputs = model(x, training=False)
        leaves = keras.tree.flatten(outputs)
        found[:] = [output_kind(leaf, recording) for leaf in leaves]
        masks[:] = [mask for mask in map(keras_mask, leaves) if mask is not None]
        values = [_one_tensor(recording.value(layer, tap), tap) for tap, layer in taps.items()]
        return [outputs, values]

    layers = [*layer_paths(model).values(), model]
    unique = list({id(layer): layer for layer in layers}.values())
    with watched(unique, taps), modes_kept(model):
        outputs, values = symbolic_call(run, inputs)
    kinds, axes = ([each[part] for each in found] for part in (0, 1))
    if kinds == [None]:
        kinds = [kind_by_compile(model)]
    return ModelSpec(outputs, kinds, axes, dict(zip(taps, values, strict=True)), bool(masks))


def _one_tensor(value, tap):
    if tap.side in ATTENTION_SIDES:
        return value
    if keras.tree.is_nested(value) or not hasattr(value, "shape"):
        raise ValueError(
            f"The layer's {tap.side} is not one tensor but {type(value).__name__}: tap a layer "
            f"that gives one. Received: {tap}"
        )
    return value


def _tensors_of(shape):
    is_shape = isinstance(shape, list | tuple) and all(
        size is None or isinstance(size, int) for size in shape
    )
    if is_shape:
        return keras.KerasTensor((None, *shape[1:]))
    if isinstance(shape, dict):
        return {name: _tensors_of(part) for name, part in shape.items()}
    return type(shape)(_tensors_of(part) for part in shape)
