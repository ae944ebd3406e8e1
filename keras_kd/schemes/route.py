"""Route-constrained optimization."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from keras_kd.callbacks.teacher_route import route_files
from keras_kd.checks import check_whole_number
from keras_kd.distiller import Distiller
from keras_kd.distiller.argument_checks import check_models
from keras_kd.schemes.cached_answers import Cache, cached_answers
from keras_kd.schemes.fit_arguments import (
    Compile,
    compile_arguments,
    distiller_arguments,
    fit_arguments,
    plain,
    plain_fit,
    size_of,
)
from keras_kd.schemes.sequence_result import SequenceResult
from keras_kd.schemes.training import Training, run
from keras_kd.schemes.training_folder import known_teacher


def route(
    checkpoints: str | os.PathLike | Sequence[Any],
    student: keras.Model,
    x: Any,
    y: Any = None,
    *,
    epochs: int | Sequence[int],
    compile: Compile,
    distiller: Mapping[str, Any] | None = None,
    folder: str | os.PathLike | None = None,
    cache: Cache = None,
    **fit: Any,
) -> SequenceResult:
    """Lets a student follow its teacher's way: checkpoints of the teacher teach in their order.

    An early teacher is easier to imitate than one that has converged. The optimizer begins afresh
    with each checkpoint; the student keeps what it has learned.

    The paper also chooses the checkpoints, greedily by how much the student's divergence grows from
    one to the next: that is left out. Give those that shall teach.

    Args:
        checkpoints: The folder of a `callbacks.TeacherRoute`; or a list of `.keras` files and
            models, the last of which is usually the trained teacher. One file at a time is in
            memory.
        student: The built student; it trains in place.
        x, y: As in Keras' `fit`, with data that can be gone through several times.
        epochs: For all together, shared evenly, the last ones taking what remains; or a list with a
            number for each checkpoint.
        compile: The keyword arguments of `compile` as a dict, whose optimizer is made again from
            its config for each checkpoint, or a function that returns them anew.
        distiller: Settings of each `Distiller`, such as `{"alpha": 0.1, "temperature": 4.0}`.
        folder: Where the student after each checkpoint and the last whole epoch are kept. With the
            same arguments again, what is finished is loaded and what was stopped goes on. None
            keeps nothing.
        cache: As in `assistant_chain`, for each checkpoint.
        **fit: As in `stages`: the epochs' numbers go on from checkpoint to checkpoint.

    Returns:
        A `SequenceResult` by names `checkpoint_1`, `checkpoint_2`, ...

    Raises:
        TypeError, ValueError: Before the first step, if there is no checkpoint, one is no file or
            model, outputs differ, or the epochs are fewer than the checkpoints.

    Example:

    >>> import keras, keras_kd, numpy as np
    >>> def net(width):
    ...     return keras.Sequential([keras.Input((4,)), keras.layers.Dense(width, "relu"),
    ...                              keras.layers.Dense(3)])
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> result = keras_kd.schemes.route(
    ...     [net(16), net(16)], net(4), np.ones((8, 4)), np.zeros(8), epochs=3,
    ...     compile={"optimizer": "adam", "loss": loss}, verbose=0)
    >>> result.history["training"]
    ['checkpoint_1', 'checkpoint_2', 'checkpoint_2']

    Reference: Jin et al., "Knowledge Distillation via Route Constrained Optimization", ICCV 2019.
    """
    check_models(student, None)
    places = _checked(checkpoints)
    shares = _shares(epochs, len(places))
    settings, compiled = distiller_arguments(distiller), compile_arguments(compile)
    cached = cached_answers(cache, {**fit, "x": x, "y": y}, places)
    losses = settings.get("feature_losses", ())
    callbacks, verbose = fit.pop("callbacks", None), fit.get("verbose", "auto")
    trainings, first = [], 0
    for number, (place, share) in enumerate(zip(places, shares, strict=True), 1):
        given = fit_arguments({**fit, "epochs": first + share}, x, y)
        known = {
            "distiller": plain(settings),
            "compile": plain(compiled()),
            "fit": plain_fit(given),
            "teacher": known_teacher(folder, None if folder is None else _model(place)),
            "model": size_of(student),
            "cache": None if cached is None else plain(cached.settings),
        }
        trainings.append(
            Training(
                name=f"checkpoint_{number}",
                model=student,
                make=_maker(student, place, settings, compiled),
                fit={**given, "initial_epoch": first},
                said=f"taught by {getattr(place, 'name', place)}",
                settings=known,
                data=None
                if cached is None
                else cached.of(f"checkpoint_{number}", _loader(place), losses, given),
            )
        )
        first += share
    logged = run("route", trainings, folder=folder, callbacks=callbacks, verbose=verbose)
    return SequenceResult({training.name: student for training in trainings}, logged)


def _maker(student, place, settings, compiled):
    """Returns a function that makes the Distiller of one checkpoint, compiled."""

    def make(runs):
        model = Distiller(student, _model(place) if runs else None, **settings)
        model.compile(**compiled())
        return model

    return make


def _loader(place):
    """Returns a function that gives the checkpoint's model."""
    return lambda: _model(place)


def _model(place):
    return (
        place if isinstance(place, keras.Model) else keras.saving.load_model(place, compile=False)
    )


def _checked(checkpoints):
    """Returns models and paths, or says what is none."""
    if isinstance(checkpoints, str | os.PathLike):
        found = route_files(Path(checkpoints))
        if not found:
            raise ValueError(
                "The folder holds no files of a keras_kd.callbacks.TeacherRoute, such as "
                f"epoch_0005.keras. Received: checkpoints='{checkpoints}'"
            )
        return found
    if not isinstance(checkpoints, list | tuple) or not checkpoints:
        raise ValueError(
            "`checkpoints` must be a folder, or a list of at least one .keras file or model. "
            f"Received: checkpoints={checkpoints!r}"
        )
    for number, each in enumerate(checkpoints):
        if isinstance(each, keras.Model):
            continue
        if not isinstance(each, str | os.PathLike) or not Path(each).is_file():
            raise ValueError(
                "`checkpoints` must hold .keras files that are there, or models. "
                f"Received: checkpoints[{number}]={each!r}"
            )
    return list(checkpoints)


def _shares(epochs, count):
    """Returns how many epochs each checkpoint teaches."""
    if isinstance(epochs, list | tuple):
        if len(epochs) != count:
            raise ValueError(
                f"`epochs` must be one number, or one for each of the {count} checkpoints. "
                f"Received: epochs={epochs!r}"
            )
        return [check_whole_number("epochs", each, least=1) for each in epochs]
    total = check_whole_number("epochs", epochs, least=1)
    if total < count:
        raise ValueError(
            f"Each of the {count} checkpoints teaches for an epoch at least: give more epochs, or "
            f"fewer checkpoints. Received: epochs={epochs}"
        )
    ends = [total * number // count for number in range(count + 1)]
    return [end - begin for begin, end in itertools.pairwise(ends)]
