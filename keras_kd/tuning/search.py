"""Searching for the settings of a Distiller."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from keras_kd.checks import check_flag, check_whole_number
from keras_kd.schemes.fit_arguments import fit_arguments
from keras_kd.tuning.auto_names import names_as_before
from keras_kd.tuning.fresh_session import fresh_session
from keras_kd.tuning.objectives import find_objectives
from keras_kd.tuning.optuna_package import optuna_package
from keras_kd.tuning.recipe import check_validates, checked_recipe
from keras_kd.tuning.search_result import SearchResult
from keras_kd.tuning.storage import held
from keras_kd.tuning.study import check_engine, ended, next_seed, opened_study
from keras_kd.tuning.trial_run import TrialRun


def search(
    make_distiller: Callable[[Any], keras.Model],
    space: Mapping[str, Any] | None,
    x: Any,
    y: Any = None,
    *,
    trials: int = 20,
    objectives: str | Sequence[str] = "val_accuracy",
    directions: str | Sequence[str] | None = None,
    seed: int = 0,
    storage: str | os.PathLike | Any = None,
    name: str = "search",
    load_if_exists: bool = True,
    sampler: Any = None,
    pruner: Any = None,
    callbacks: Callable[[str], Any] | None = None,
    **fit: Any,
) -> SearchResult:
    """Trains a Distiller with one choice of settings after another, and tells which did best.

    Optuna chooses: at random at first, and then where it went well (TPE). A trial that does worse
    than the median of the others after as many epochs is given up, from the sixth on.

    | in `space` | what it stands for |
    |---|---|
    | `(1.0, 8.0)` | all numbers from 1 to 8 |
    | `(1e-4, 1e-1, "log")` | the same, each power of ten as likely as the next |
    | `(8, 64)` | whole numbers, both ends among them |
    | `[0.0, 0.1, 0.5]` | one of a list of numbers, texts, bools or None |
    | `{"kd": KDLoss(), "dkd": DKDLoss()}` | one of a dict of anything, by its name |
    | `optuna.distributions.FloatDistribution(0, 1, step=0.1)` | Optuna's own, as they are |

    The teacher need not answer in every trial: label the data once, `cache.label(data)`, give the
    result as `x`, and let `make_distiller` return a Distiller without a teacher.

    Args:
        make_distiller: A function that returns a compiled model, with a student made anew. It is
            given the settings, a dict by the names of `space`; where `space` is None an
            `optuna.Trial`, to ask for settings as they are needed. What it returns need not be a
            Distiller.
        space: What to search for, as above.
        x, y: As in Keras' `fit`, with data that can be gone through several times.
        trials: How many trials there shall be in the end, those of earlier searches in the same
            storage among them. Defaults to 20.
        objectives: What to choose by: a metric of the validation data in the logs of `fit`. Of a
            training that ends with its best weights (`EarlyStopping(restore_best_weights=True)`)
            it is theirs, of others the last epoch's. Several, such as `("val_accuracy",
            "latency")`, have no best but a front, and nothing is given up. `"latency"` are
            milliseconds of a call for one example, `"parameters"` their number, of the student.
        directions: `"maximize"` or `"minimize"` for each, where names do not tell it.
        seed: Of the first trial, its settings and its training; each later one has the next. So a
            search that was stopped and goes on ends as one that was not, where the machine's sums
            and the data's order are the same. Python's and NumPy's generators go on afterwards from
            where they were; those of Keras and its backend stay at the last seed.
        storage: Where the study is kept: the path of a SQLite file (`"study.db"`), or what Optuna
            takes. With the same arguments again the search goes on; a trial that ran when its
            process ended counts for nothing and is tried once more, then others take its place.
            One process searches in a file at a time. None keeps it in memory.
        name: The study's name in the storage.
        load_if_exists: Whether a study of that name goes on; if not, it is an error.
        sampler: One of `optuna.samplers`, in place of a `TPESampler` with the trial's seed.
        pruner: One of `optuna.pruners`; `NopPruner()` gives nothing up. Defaults to Optuna's
            `MedianPruner()`.
        callbacks: A function from the name of a training, such as `"search_trial_3"`, to its
            callbacks, made anew at each call.
        **fit: What else Keras' `fit` takes, `validation_data` and `epochs` among it.

    Returns:
        A `SearchResult`. It holds no trained model: `result.train()` makes the best again.

    Raises:
        ImportError: If Optuna is not installed.
        TypeError, ValueError: Before the first trial, if an argument is wrong, there are no
            validation data, or the storage holds another search; in it, if `make_distiller`
            returns no compiled model or one that was trained before, or a metric is not logged; in
            the end, if no trial came to a value. What a training raises ends the search; raise
            `optuna.TrialPruned` in `make_distiller` for settings that cannot be.

    Example:

    >>> import keras, keras_kd, numpy as np, optuna
    >>> from keras_kd.models import mlp
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> x, y = np.random.rand(12, 4), np.arange(12) % 3
    >>> teacher = mlp((4,), 3, hidden=(16,))
    >>> def make_distiller(settings):
    ...     student = mlp((4,), 3, hidden=(settings["width"],))
    ...     distiller = keras_kd.Distiller(student, teacher, alpha=settings["alpha"])
    ...     loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    ...     distiller.compile("adam", loss, metrics=["accuracy"])
    ...     return distiller
    >>> result = keras_kd.tuning.search(make_distiller, {"alpha": (0.0, 1.0), "width": [2, 4]},
    ...                                 x, y, trials=1, validation_data=(x, y), verbose=0)
    >>> sorted(result.best_settings)
    ['alpha', 'width']

    Reference: Akiba, Sano, Yanase, Ohta, Koyama, "Optuna: A Next-generation Hyperparameter
    Optimization Framework", KDD 2019.
    """
    optuna = optuna_package()
    trials = check_whole_number("trials", trials, least=1)
    seed = check_whole_number("seed", seed, least=0)
    goals = find_objectives(objectives, directions)
    recipe = checked_recipe(make_distiller, space, fit_arguments(fit, x, y), callbacks)
    check_validates(recipe, goals)
    check_engine(sampler, pruner)
    load_if_exists = check_flag("load_if_exists", load_if_exists)
    if not isinstance(name, str) or not name:
        raise ValueError(f"`name` must be a study's name. Received: name={name!r}")

    def seed_sampler(study: Any, _: Any = None) -> None:
        if sampler is None:
            study.sampler = optuna.samplers.TPESampler(seed=next_seed(study, seed))

    with held(storage) as (place, is_alone):
        study = opened_study(
            place,
            name,
            goals,
            recipe,
            load_if_exists=load_if_exists,
            is_alone=is_alone,
            pruner=pruner,
        )
        study.sampler = sampler or study.sampler
        seed_sampler(study)
        run, missing = TrialRun(recipe, goals, seed), trials - ended(study)
        if missing > 0:
            with names_as_before():
                study.optimize(run, n_trials=missing, callbacks=[seed_sampler])
            fresh_session()
            _warn_of_unread(recipe.space)
    result = SearchResult(study, goals, recipe, seed)
    _check_has_ended(result)
    return result


def _warn_of_unread(space):
    """Warns of settings that make no difference."""
    if space is not None and space.never_read:
        warnings.warn(
            "`make_distiller` asked for some settings of the space in no trial, so that they made "
            f"no difference: a name may be misspelt. Received: {sorted(space.never_read)}",
            stacklevel=3,
        )


def _check_has_ended(result):
    """Raises if no trial has a value."""
    states = [row["state"] for row in result.rows]
    if "complete" not in states:
        counts = {state: states.count(state) for state in dict.fromkeys(states)}
        raise ValueError(
            "No trial ended with a value, so there is nothing to choose: look at where losses "
            "become NaN (a smaller learning rate, a narrower space), or let a pruner give up "
            f"less. Received: trials {counts}, the last with {result.rows[-1]['settings']}"
        )
