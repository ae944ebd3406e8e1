"""Born-again networks."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_kd.checks import check_takes, check_whole_number
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
from keras_kd.teachers import Ensemble


@dataclasses.dataclass(frozen=True)
class BornAgainResult(SequenceResult):
    """The generations of `born_again`.

    Args:
        models, epochs: As in `SequenceResult`.
        activation: `"softmax"`, or `"sigmoid"` of multi-label outputs.

    Attributes:
        ensemble: A `teachers.Ensemble` that averages the probabilities of all generations.

    Example:

    >>> import keras
    >>> from keras_kd.schemes import BornAgainResult
    >>> def net():
    ...     return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    >>> result = BornAgainResult({"generation_0": net(), "generation_1": net()}, {})
    >>> len(result.ensemble.models)
    2
    """

    activation: str = "softmax"

    @functools.cached_property
    def ensemble(self) -> Ensemble:
        """Averages the probabilities of all generations; it holds the models themselves."""
        return Ensemble(list(self.models.values()), activation=self.activation)


def born_again(
    make_student: Callable[[], keras.Model],
    x: Any,
    y: Any = None,
    *,
    generations: int = 3,
    teacher: keras.Model | None = None,
    compile: Compile,
    distiller: Mapping[str, Any] | None = None,
    folder: str | os.PathLike | None = None,
    cache: Cache = None,
    **fit: Any,
) -> BornAgainResult:
    """Trains a model on the labels, and then the same model anew, taught by the one before.

    ```
    generation_0:  labels alone, unless a `teacher` stands for it
    generation_k:  Distiller(generation_k, generation_{k-1}),   k = 1 ... generations
    ```

    Args:
        make_student: A function without arguments that returns a new, built model. It is called
            once for each generation before the first of them trains.
        x, y: As in Keras' `fit`, with data that can be gone through several times.
        generations: How many are taught, at least 1.
        teacher: A trained model that teaches the first of them; then there is no generation 0, and
            it is no part of the ensemble.
        compile: The keyword arguments of `compile` as a dict, whose optimizer is made again from
            its config for each generation, or a function that returns them anew.
        distiller: Settings of each `Distiller`, such as `{"alpha": 0.1, "temperature": 4.0}`.
        folder: Where finished generations and the last whole epoch are kept. With the same
            arguments again, what is finished is loaded and what was stopped goes on. None keeps
            nothing.
        cache: As in `assistant_chain`.
        **fit: As in `assistant_chain`.

    Returns:
        A `BornAgainResult` by names `generation_0`, `generation_1`, ...; its `ensemble` averages
        the probabilities of all of them.

    Raises:
        TypeError, ValueError: Before the first step, if `make_student` gives no model, one that is
            not built or the same twice, or the folder belongs to other trainings.

    Example:

    >>> import keras, keras_kd, numpy as np
    >>> def net():
    ...     return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> result = keras_kd.schemes.born_again(
    ...     net, np.ones((8, 4)), np.zeros(8), generations=1,
    ...     compile={"optimizer": "adam", "loss": loss}, verbose=0)
    >>> list(result.models), result.ensemble(np.ones((2, 4))).shape
    (['generation_0', 'generation_1'], TensorShape([2, 3]))

    Reference: Furlanello, Lipton, Tschannen, Itti, Anandkumar, "Born Again Neural Networks", ICML
    2018.
    """
    generations = check_whole_number("generations", generations, least=1)
    settings, compiled = distiller_arguments(distiller), compile_arguments(compile)
    fit = fit_arguments(fit, x, y)
    cached = cached_answers(cache, fit, [teacher])
    callbacks, verbose = fit.pop("callbacks", None), fit.get("verbose", "auto")
    first = 0 if teacher is None else 1
    models = _made(make_student, generations + 1 - first)
    known = {
        "distiller": plain(settings),
        "compile": plain(compiled()),
        "fit": plain_fit(fit),
        "teacher": known_teacher(folder, teacher),
        "cache": None if cached is None else plain(cached.settings),
    }
    losses = settings.get("feature_losses", ())
    trainings, before, kept_as = [], teacher, "teacher"
    for number, model in enumerate(models, first):
        name = "labels alone" if before is None else f"taught by {_name(number, teacher)}"
        trainings.append(
            Training(
                name=f"generation_{number}",
                model=model,
                make=_maker(model, before, settings, compiled),
                fit=fit,
                said=name,
                settings={**known, "model": size_of(model)},
                data=_asked(cached, kept_as, model, before, losses=losses, fit=fit),
            )
        )
        before, kept_as = model, f"generation_{number}"
    epochs = run("born_again", trainings, folder=folder, callbacks=callbacks, verbose=verbose)
    found = {training.name: training.model for training in trainings}
    return BornAgainResult(found, epochs, _activation(settings))


def _maker(student, teacher, settings, compiled):
    """Returns a function that makes the Distiller of one generation, compiled."""

    def make(runs):
        if teacher is None:  # a Distiller, too: it goes on with dropout's random numbers
            model = Distiller(student, kd_loss=None, alpha=1.0)
        else:
            model = Distiller(student, teacher if runs else None, **settings)
        model.compile(**compiled())
        return model

    return make


def _asked(cached, kept_as, model, teacher, *, losses, fit):
    """Returns what gives a generation its data, where a cache does."""
    if cached is None:
        return None
    if teacher is None:
        return cached.unasked(model, fit)
    return cached.of(kept_as, teacher, losses, fit)


def _name(number, teacher):
    return teacher.name if teacher is not None and number == 1 else f"generation_{number - 1}"


def _made(make_student, count):
    """Returns new models, or says why they are none."""
    if not callable(make_student) or isinstance(make_student, keras.Model):
        raise TypeError(
            "`make_student` must be a function that returns a new model at each call. "
            f"Received: make_student={make_student!r}"
        )
    check_takes("make_student", make_student, "without arguments", (0,))
    models = [make_student() for _ in range(count)]
    for model in models:
        check_models(model, None)
    if len({id(model) for model in models}) < count:
        raise ValueError(
            "Each generation begins as a new model: let `make_student` make one at each call. "
            f"Received: '{models[0].name}' again"
        )
    return models


def _activation(settings):
    """How the outputs become probabilities, as the loss says by which they are taught."""
    losses = keras.tree.flatten(settings.get("kd_loss"))
    found = {getattr(loss, "activation", None) for loss in losses if loss is not None}
    return "sigmoid" if found == {"sigmoid"} else "softmax"
