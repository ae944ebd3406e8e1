"""What several models take together."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

import keras

from keras_kd.features.model_spec import input_spec
from keras_kd.features.string_inputs import is_string


class JoinedInputsModel(keras.Model):
    """A model of several models on one batch, each of which takes its own of inputs by name.

    It says what it takes, dtypes among it, as Functional models do and others do not.
    """

    def join_inputs(self, models: Mapping[str, keras.Model]) -> None:
        """Learns what it takes; the names of the models are for messages."""
        # Keras would turn a dict into one of its own.
        self._takes = types.SimpleNamespace(inputs=joined_inputs(models))
        self.build(keras.tree.map_structure(lambda x: x.shape, self.input))

    def build(self, input_shape: Any) -> None:
        """Nothing to make: the models are built."""
        self.built = True

    @property
    def input(self) -> Any:
        """What it takes as `KerasTensor`s, in the structure of the inputs."""
        return self._takes.inputs

    @property
    def inputs(self) -> list:
        """The same as a flat list."""
        return keras.tree.flatten(self._takes.inputs)


def joined_inputs(models: Mapping[str, keras.Model]) -> Any:
    """Returns the inputs that feed all of the models, as `KerasTensor`s.

    Inputs by name are put together, and each model takes its own of them; a model whose inputs are
    not by name joins if its tensors bear names that others take. Without names all take the same.

    Args:
        models: Built models by the names that messages call them.

    Raises:
        ValueError: If no model tells its inputs, or they cannot be joined.
    """
    specs = {name: input_spec(model) for name, model in models.items()}
    specs = {name: spec for name, spec in specs.items() if spec is not None}
    if not specs:
        raise ValueError(
            "The shape of the models' inputs is not known: call one of them on a batch of data. "
            f"Received: {list(models)}"
        )
    named = {key for spec in specs.values() if isinstance(spec, dict) for key in spec}
    found: dict[Any, dict] = {}
    for name, spec in specs.items():
        for key, tensor in _by_key(name, spec, named).items():
            found.setdefault(key, {})[name] = tensor
    # A subclassed model tells the shapes, and not the dtypes, of what it takes.
    tells = {name for name in specs if getattr(models[name], "inputs", None)}
    joined = {key: _joined(key, tensors, tells) for key, tensors in found.items()}
    if named:
        return joined
    counts = {name: len(keras.tree.flatten(spec)) for name, spec in specs.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(
            "The models take different numbers of inputs, which only names can join: give each "
            f"model its inputs as a dict. Received: numbers of inputs {counts}"
        )
    structure = next((specs[name] for name in specs if name in tells), next(iter(specs.values())))
    return keras.tree.pack_sequence_as(structure, list(joined.values()))


def _by_key(name, spec, named):
    """Returns a model's inputs by their names, or by their places where no model has names."""
    if isinstance(spec, dict):
        nested = [key for key, part in spec.items() if keras.tree.is_nested(part)]
        if nested:
            raise ValueError(
                "Inputs by name must be tensors. Received: "
                f"{name!r} with an input {nested[0]!r} of several"
            )
        return spec
    tensors = keras.tree.flatten(spec)
    if not named:
        return dict(enumerate(tensors))
    names = [tensor.name for tensor in tensors]
    if not set(names) <= named:
        raise ValueError(
            "Some models take inputs by name and another does not, so that it cannot be known "
            "which are its own: call its `keras.Input`s by names of the data's, or put it in "
            "keras.Model({'name': x}, model(x)) with x = keras.Input(shape, name='name'). "
            f"Received: {name!r} takes {names}; by name {sorted(named)}"
        )
    return dict(zip(names, tensors, strict=True))


def _joined(key, tensors, tells):
    """Returns the one tensor that all of the models take."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    sizes = list(zip(*shapes.values(), strict=False))
    alike = len({len(shape) for shape in shapes.values()}) == 1 and all(
        len({size for size in each if size is not None}) < 2 for each in sizes
    )
    told = {name: tensor.dtype for name, tensor in tensors.items() if name in tells}
    if not alike or len({is_string(dtype) for dtype in told.values()}) > 1:
        which = f"{key!r}" if isinstance(key, str) else f"number {key}"
        raise ValueError(
            "The models are given the same batch, and want it otherwise: put a layer that prepares "
            f"it in front of one of them. Received: input {which} of shapes {shapes}, dtypes {told}"
        )
    shape = [next((size for size in each if size is not None), None) for each in sizes]
    first = next(iter(tensors.values()))
    dtype = next(iter(told.values()), first.dtype)
    return keras.KerasTensor(shape, dtype, name=key if isinstance(key, str) else first.name)
