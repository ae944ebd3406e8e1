"""A training in stages."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras

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
    with_rate,
)
from keras_kd.schemes.sequence_result import SequenceResult
from keras_kd.schemes.stage import Stage
from keras_kd.schemes.stage_checks import check_beside, check_learns, checked
from keras_kd.schemes.trainable import Trainable
from keras_kd.schemes.training import Training, run
from keras_kd.schemes.training_folder import known_teacher


def stages(
    student: keras.Model,
    teacher: keras.Model | None,
    stages: Sequence[Stage],
    x: Any = None,
    y: Any = None,
    *,
    compile: Compile,
    distiller: Mapping[str, Any] | None = None,
    folder: str | os.PathLike | None = None,
    cache: Cache = None,
    **fit: Any,
) -> SequenceResult:
    """Trains a student in stages that differ in loss, layers, learning rate or data.

    Each stage is a `Distiller` of its own, compiled anew: the student keeps what it has learned,
    while the optimizer begins afresh, without moments of another loss or of other layers, and so
    does what a loss has to train, such as a projector. A layer that is frozen does not move; a
    frozen BatchNormalization normalises with its statistics and leaves them, as in Keras. At the
    end, also of a training that is broken off, what is `trainable` is as it was.

    FitNets, for one, are a hint and then distillation. FSP is a feature loss and then the labels;
    AB is a feature loss and then KD or the labels (its authors' code has a branch for each: KD
    alone at T = 3, and the labels alone).

    ```python
    FITNETS = [
        Stage("hint", 5, trainable=["stem", "mid"], alpha=0.0, kd_loss=None,
              feature_losses=[FitNetLoss(layers={"mid": "block4"})]),
        Stage("distil", 15),
    ]
    ```

    Args:
        student: The built student; it trains in place.
        teacher: The trained teacher, which runs where a stage listens to it; or None where what it
            says travels with the data.
        stages: One `Stage` after another.
        x, y: As in Keras' `fit`, for the stages that have no data of their own, with data that can
            be gone through several times.
        compile: The keyword arguments of `compile` as a dict, whose optimizer is made again from
            its config for each stage, or a function that returns them anew.
        distiller: Settings of the `Distiller` that all stages share.
        folder: Where finished stages and the last whole epoch are kept. With the same arguments
            again, what is finished is loaded and what was stopped goes on. None keeps nothing. What
            trains is known by the weights, functions among the arguments by their names alone. A
            teacher that follows the student, such as `teachers.MovingAverage`, is not kept, and a
            folder refused with it.
        cache: As in `assistant_chain`. The teacher is asked once for the common data, and once for
            those of a stage's own, where a stage listens.
        **fit: What `fit` takes for each stage, but for `epochs`. The epochs' numbers go on from
            stage to stage, for callbacks too. `sample_weight` and `validation_split` belong to `x`:
            with them no stage has data of its own. All else holds for each stage, whatever its
            data, `steps_per_epoch` too. `callbacks` may be a function of a stage's name that
            returns new ones. With `verbose=0` nothing is printed.

    Returns:
        A `SequenceResult` by the stages' names; its `history` has all epochs, each with the name of
        its stage.

    Raises:
        TypeError, ValueError: Before the first step, if there are no stages, two have one name, a
            layer does not exist, nothing would train or there is nothing to learn from in one of
            them, one with data of its own would take weights of others, or the folder belongs to
            another training or would have to keep the teacher.

    Example:

    >>> import keras, keras_kd, numpy as np
    >>> from keras_kd.schemes import Stage
    >>> def net(width):
    ...     return keras.Sequential([keras.Input((4,)), keras.layers.Dense(width, name="body"),
    ...                              keras.layers.Dense(3, name="head")])
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> result = keras_kd.schemes.stages(
    ...     net(4), net(16), [Stage("head", 1, trainable="head"), Stage("all", 1, alpha=0.5)],
    ...     np.ones((8, 4)), np.zeros(8), compile={"optimizer": "adam", "loss": loss}, verbose=0)
    >>> result.history["training"]
    ['head', 'all']

    References: Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015; Yim et al., "A Gift
    from Knowledge Distillation", CVPR 2017 (FSP); Heo et al., "Knowledge Transfer via Distillation
    of Activation Boundaries", AAAI 2019 (AB).
    """
    check_models(student, teacher)
    parts = checked(stages)
    settings, compiled = distiller_arguments(distiller), compile_arguments(compile)
    if "epochs" in fit:
        raise TypeError(
            f"Each stage has its own epochs: Stage(name, epochs). Received: epochs={fit['epochs']}"
        )
    check_beside(parts, fit)
    if cache is not None and teacher is None:
        raise ValueError(
            "A `cache` keeps what a teacher says, and there is none: take cache=None. "
            f"Received: teacher=None, cache={cache!r}"
        )
    trainable, known = Trainable(student), {}
    cached = cached_answers(cache, {**fit, "x": x, "y": y}, [teacher])
    callbacks, verbose = fit.pop("callbacks", None), fit.get("verbose", "auto")
    if folder is not None:
        known = {"teacher": known_teacher(folder, teacher), "model": size_of(student)}
    if cached is not None:
        known["cache"] = plain(cached.settings)
    sharing = [{**settings, **part.distiller} for part in parts if part.x is None]
    common = [loss for each in sharing for loss in each.get("feature_losses", ())]
    trainings, first = [], 0
    for part in parts:
        data = (x, y) if part.x is None else (part.x, part.y)
        own = {**settings, **part.distiller}
        check_learns((student, teacher), part, own, _compile_of(part, compiled), data)
        given = fit_arguments({**fit, "epochs": first + part.epochs}, *data)
        make = _maker(teacher, part, own, compiled, trainable)
        heard = None
        if cached is not None and part.x is None and any(map(_listens, sharing)):
            heard = cached.of("teacher", teacher, common, given)
        elif cached is not None and part.x is not None and _listens(own):
            heard = cached.of(part.name, teacher, own.get("feature_losses", ()), given)
        elif cached is not None:
            heard = cached.unasked(student, given)
        trainings.append(
            Training(
                name=part.name,
                model=student,
                make=make,
                fit={**given, "initial_epoch": first},
                said=f"{part.epochs} epoch{'s' * (part.epochs > 1)}",
                settings={
                    **known,
                    **_plain(part, own, compiled),
                    "trainable": trainable.places(part.trainable),
                    "fit": plain_fit(given),
                },
                data=heard,
            )
        )
        first += part.epochs
    try:
        epochs = run("stages", trainings, folder=folder, callbacks=callbacks, verbose=verbose)
    finally:
        trainable.restore()
    return SequenceResult({part.name: student for part in parts}, epochs)


def _maker(teacher, part, settings, compiled, trainable):
    """Returns a function that makes the Distiller of one stage, compiled."""

    def make(runs):
        trainable.only(part.trainable)
        heard = teacher if runs and _listens(settings) else None
        model = Distiller(trainable.model, heard, **settings)
        model.compile(**_compile_of(part, compiled))
        return model

    return make


def _listens(settings):
    """Whether a Distiller of these settings has a term that needs a teacher."""
    return settings.get("kd_loss", True) is not None or bool(settings.get("feature_losses"))


def _compile_of(part, compiled):
    own = {} if part.compile is None else compile_arguments(part.compile)()
    return with_rate({**compiled(), **own}, part.learning_rate)


def _plain(part, settings, compiled):
    """What a folder knows a stage by."""
    return {
        "distiller": plain(settings),
        "compile": plain(_compile_of(part, compiled)),
        "own_data": part.x is not None,
    }
