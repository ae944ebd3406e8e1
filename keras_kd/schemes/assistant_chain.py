"""Teacher assistants."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_kd.checks import check_flag
from keras_kd.distiller import Distiller
from keras_kd.distiller.argument_checks import check_apart
from keras_kd.schemes.cached_answers import Cache, cached_answers
from keras_kd.schemes.dense_distiller import DenseDistiller, SideBySide
from keras_kd.schemes.fit_arguments import (
    Compile,
    check_names,
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


def assistant_chain(
    models: Sequence[keras.Model],
    x: Any,
    y: Any = None,
    *,
    compile: Compile,
    distiller: Mapping[str, Any] | None = None,
    densely: bool = False,
    folder: str | os.PathLike | None = None,
    cache: Cache = None,
    **fit: Any,
) -> SequenceResult:
    """Distils from a large model to a small one over models in between, each from the one before.

    ```
    TAKD:  models[0] -> models[1] -> ... -> models[-1]
    DGKD:  kd_loss of models[k] = 1/k sum_{i < k} D(models[i], models[k])
    ```

    DGKD's paper adds the teachers' terms up. Their mean leaves `alpha` its meaning, however many
    teach. Its stochastic dropping of teachers is left out.

    Args:
        models: From large to small, built, with names of their own. The first is trained already
            and not changed; the others train in place.
        x, y: As in Keras' `fit`, with data that can be gone through several times.
        compile: The keyword arguments of `compile` as a dict, whose optimizer is made again from
            its config for each training, or a function that returns them anew.
        distiller: Settings of each `Distiller`, such as `{"alpha": 0.1, "temperature": 4.0}`.
        densely: Whether every larger model teaches, as in DGKD, not only the one before. Then each
            has a term `kd_loss_` and its name, and its layers are `name/layer`.
        folder: Where finished models and the last whole epoch are kept. With the same arguments
            again, what is finished is loaded and what was stopped goes on. None keeps nothing.
        cache: Where to keep what the teachers say: each is then asked once, through a
            `TeacherCache`, and not in every step. A folder, or a dict of its `"path"` and of
            settings of `TeacherCache` and its `label`, such as `"top_k"`, `"augment"`, `"views"`.
            Then `x` is arrays or an unbatched `tf.data.Dataset` in a fixed order; `fit`'s
            `batch_size` and `shuffle` hold for both, of a data set within a window of 8,192
            examples. None, the default, runs teachers live.
        **fit: What `fit` takes for each training, such as `epochs`, `batch_size`,
            `validation_data`. `callbacks` may be a function of a training's name that returns new
            ones; a list is given to every training, whose callbacks begin afresh as in any second
            `fit`: those that would write to the same files are refused in it. With `verbose=0`
            nothing is printed.

    Returns:
        A `SequenceResult`, by the names of all models but the first.

    Raises:
        TypeError, ValueError: Before the first step, if there are fewer than two models, one is not
            built, two have one name or share what trains, their outputs cannot be compared, or the
            folder belongs to other trainings.

    Example:

    >>> import keras, keras_kd, numpy as np
    >>> def net(width):
    ...     return keras.Sequential([keras.Input((4,)), keras.layers.Dense(width, "relu"),
    ...                              keras.layers.Dense(3)], name=f"width_{width}")
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> result = keras_kd.schemes.assistant_chain(
    ...     [net(16), net(8), net(4)], np.ones((8, 4)), np.zeros(8),
    ...     compile={"optimizer": "adam", "loss": loss}, verbose=0)
    >>> list(result.models), result.student.name
    (['width_8', 'width_4'], 'width_4')

    References: Mirzadeh et al., "Improved Knowledge Distillation via Teacher Assistant", AAAI 2020;
    Son, Na, Choi, Hwang, "Densely Guided Knowledge Distillation Using Multiple Teacher Assistants",
    ICCV 2021.
    """
    models = _checked(models)
    densely = check_flag("densely", densely)
    settings, compiled = distiller_arguments(distiller), compile_arguments(compile)
    fit = fit_arguments(fit, x, y)
    cached = cached_answers(cache, fit, models[:1])
    callbacks, verbose = fit.pop("callbacks", None), fit.get("verbose", "auto")
    known = {
        "distiller": plain(settings),
        "compile": plain(compiled()),
        "fit": plain_fit(fit),
        "densely": densely,
        "teacher": known_teacher(folder, models[0]),
        "cache": None if cached is None else plain(cached.settings),
    }
    losses = settings.get("feature_losses", ())
    trainings = []
    for number, student in enumerate(models[1:], 1):
        teachers = models[:number] if densely else [models[number - 1]]
        heard, kept_as = teachers[0], f"model_{number - 1}"
        if densely:
            heard, kept_as = SideBySide(teachers), f"models_0_to_{number - 1}"
        trainings.append(
            Training(
                name=student.name,
                model=student,
                make=_maker(student, teachers if densely else teachers[0], settings, compiled),
                fit=fit,
                said="taught by " + ", ".join(teacher.name for teacher in teachers),
                settings={**known, "model": size_of(student)},
                data=None if cached is None else cached.of(kept_as, heard, losses, fit),
            )
        )
    epochs = run("assistant_chain", trainings, folder=folder, callbacks=callbacks, verbose=verbose)
    return SequenceResult({training.name: training.model for training in trainings}, epochs)


def _maker(student, taught_by, settings, compiled):
    """Returns a function that makes the Distiller of one student, compiled."""

    def make(runs):
        # Also of one teacher: its terms and layers are named alike in the whole chain.
        if isinstance(taught_by, list):
            teachers = taught_by if runs else [teacher.name for teacher in taught_by]
            model = DenseDistiller(student, teachers, **settings)
        else:
            model = Distiller(student, taught_by if runs else None, **settings)
        model.compile(**compiled())
        return model

    return make


def _checked(models):
    """Returns the models as a list, or says why they are no chain."""
    if not isinstance(models, list | tuple) or len(models) < 2:
        raise ValueError(
            "`models` must be a list of at least two models, from large to small, of which the "
            f"first is trained. Received: models={models!r}"
        )
    for number, model in enumerate(models):
        if not isinstance(model, keras.Model):
            raise TypeError(
                "`models` must hold keras.Model objects. "
                f"Received: models[{number}]={model!r} of type {type(model).__name__}"
            )
        if not model.built:
            raise ValueError(
                "A model is not built, so its shapes are unknown: call it on a batch of data or "
                f"give it a keras.Input. Received: models[{number}]='{model.name}', built=False"
            )
    check_names([model.name for model in models], "model")
    for larger, smaller in itertools.combinations(models, 2):  # not neighbours alone
        check_apart(smaller, larger)
    for teacher, student in itertools.pairwise(models):
        if student.count_params() > teacher.count_params():
            warnings.warn(
                "A chain goes from large to small, and this model is larger than the one that "
                f"teaches it. Received: '{student.name}' of {student.count_params()} parameters, "
                f"taught by '{teacher.name}' of {teacher.count_params()}",
                stacklevel=3,
            )
    return list(models)
