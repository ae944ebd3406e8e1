"""Checks of what a TeacherCache is made of."""

import os
from pathlib import Path

import keras

from keras_kd.addresses import path_or_address
from keras_kd.checks import check_flag, check_whole_number, how_to_load
from keras_kd.features.strategy_scope import processes_of
from keras_kd.features.tap import Tap

_DTYPES = ("float16", "bfloat16", "float32")


def check_path(path) -> Path | str:
    """Returns the folder, or the text of its address, or says why it cannot be one."""
    folder = path_or_address("path", path)
    if isinstance(folder, Path) and folder.exists() and not folder.is_dir():
        raise ValueError(f"`path` must be a folder. Received: path='{folder}', a file")
    return folder


def check_teacher(teacher):
    """Returns the teacher, or says why it cannot be one."""
    if isinstance(teacher, keras.Model) and not teacher.built:
        raise ValueError(
            "The teacher is not built: call it on a batch of data or give it a keras.Input. "
            f"Received: teacher '{teacher.name}', built=False"
        )
    if teacher is not None and not callable(teacher):
        is_path = isinstance(teacher, str | os.PathLike)
        hint = how_to_load(os.fspath(teacher), "teacher") if is_path else ""
        raise TypeError(
            "`teacher` must be a keras.Model, a function from a batch of arrays to arrays, or "
            f"None.{hint} Received: teacher={teacher!r}"
        )
    check_runs_alone(teacher)
    return teacher


def check_runs_alone(teacher):
    """Raises if all processes of a strategy would have to run the teacher together."""
    cluster = processes_of(teacher)
    if cluster is not None:
        raise ValueError(
            "All processes of a strategy run its models together, and a cache would run the "
            "teacher in one that holds a lock: load the teacher outside of the strategy's scope, "
            "and label with `label_shard(dataset, index, count)` in each process. Received: "
            f"teacher '{teacher.name}' of a {type(teacher.distribute_strategy).__name__} of "
            f"{cluster.as_dict()}"
        )


def check_layers(layers, teacher) -> tuple:
    """Returns the layers as `Tap`s."""
    layers = (layers,) if isinstance(layers, str | Tap) else layers
    if not isinstance(layers, list | tuple) or not all(isinstance(x, str | Tap) for x in layers):
        raise TypeError(
            "`layers` must be a list of names or keras_kd.features.Tap objects. "
            f"Received: layers={layers!r}"
        )
    taps = tuple(Tap.of(layer) for layer in layers)
    if len({tap.key for tap in taps}) < len(taps):
        raise ValueError(f"`layers` must name each value once. Received: layers={layers!r}")
    others = [tap.key for tap in taps if tap.key != tap.layer]
    if others and teacher is not None and not isinstance(teacher, keras.Model):
        raise TypeError(
            "What a function calls its values are plain names; sides and calls of layers can be "
            "read of a keras.Model alone. Received: "
            f"layers={layers!r}, teacher of type {type(teacher).__name__}"
        )
    return taps


def check_settings(dtype, top_k, layers, from_logits) -> dict:
    """Returns what decides what is stored, by name."""
    if dtype not in _DTYPES:
        raise ValueError(f"`dtype` must be one of {_DTYPES}. Received: dtype={dtype!r}")
    return {
        "dtype": dtype,
        "top_k": None if top_k is None else check_whole_number("top_k", top_k, least=1),
        "layers": [tap.key for tap in layers],
        "from_logits": check_flag("from_logits", from_logits, or_none=True),
    }


def check_part(index, count) -> tuple[int, int]:
    """Returns which part of how many, or says why there is no such part."""
    count = check_whole_number("count", count, least=1)
    index = check_whole_number("index", index, least=0)
    if index >= count:
        raise ValueError(f"`index` must be below `count`. Received: index={index}, count={count}")
    return index, count
