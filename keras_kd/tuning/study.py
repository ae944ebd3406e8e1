"""The study of a search: made, or found and checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_kd.schemes.fit_arguments import plain_fit
from keras_kd.tuning.objectives import Objective
from keras_kd.tuning.optuna_package import optuna_package
from keras_kd.tuning.recipe import Recipe

# What a study, and its trials, are marked with.
_KNOWN_BY, DIVERGED, EPOCHS, PLACE, SEED = "search", "diverged", "epochs", "place", "seed"
_FURTHER = 100_000  # beyond the seeds of any search


def opened_study(
    storage: Any,
    name: str,
    objectives: Sequence[Objective],
    recipe: Recipe,
    *,
    load_if_exists: bool,
    is_alone: bool,
    pruner: Any,
) -> Any:
    """Returns the study of that name.

    Args:
        storage: What Optuna takes.
        name: The study's name.
        objectives: What its trials are judged by.
        recipe: What they have in common.
        load_if_exists: Whether one that is there goes on.
        is_alone: Whether nobody else runs trials in it, so that those that run are of the dead.
        pruner: One of Optuna's, or None for its default.

    Raises:
        ValueError: If the study that is there is of another search.
        optuna.exceptions.DuplicatedStudyError: If one is there and must not be.
    """
    optuna = optuna_package()
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        load_if_exists=load_if_exists,
        directions=[each.direction for each in objectives],
        pruner=pruner,
    )
    _check_same(study, objectives, recipe)
    if is_alone:
        states = optuna.trial.TrialState
        for trial in study.get_trials(deepcopy=False, states=(states.RUNNING,)):
            study.tell(trial.number, state=states.FAIL)
    return study


def check_engine(sampler: Any, pruner: Any) -> None:
    """Raises a TypeError if one of these is none of Optuna's."""
    optuna = optuna_package()
    kinds = {"sampler": optuna.samplers.BaseSampler, "pruner": optuna.pruners.BasePruner}
    for name, given in (("sampler", sampler), ("pruner", pruner)):
        if given is not None and not isinstance(given, kinds[name]):
            raise TypeError(
                f"`{name}` must be an object of optuna.{name}s, or None. Received: {name}={given!r}"
            )


def ended(study: Any) -> int:
    """Returns how many trials have ended by themselves, pruned and diverged ones among them.

    Those whose process was killed, or whose training raised an error, have not.
    """
    states = optuna_package().trial.TrialState
    return sum(
        trial.state in (states.COMPLETE, states.PRUNED) or has_diverged(trial)
        for trial in study.get_trials(deepcopy=False)
    )


def next_seed(study: Any, first: int) -> int:
    """Returns the seed of the next trial: the first one's, and as many more as have ended.

    What did not end is tried once more as it was. If that does not end either, it may be what kills
    the process: then another seed, with other settings, takes its place.
    """
    failed, place = optuna_package().trial.TrialState.FAIL, ended(study)
    tries = sum(
        trial.state == failed and trial.user_attrs.get(PLACE) == place and not has_diverged(trial)
        for trial in study.get_trials(deepcopy=False)
    )
    return first + place + _FURTHER * max(0, tries - 1)


def has_diverged(trial: Any) -> bool:
    """Whether a trial's training ended with a value that is no number."""
    return bool(trial.user_attrs.get(DIVERGED))


def _check_same(study, objectives, recipe):
    """Raises if a study's trials cannot be held against those of this search."""
    wanted = {
        "objectives": [[each.name, each.direction] for each in objectives],
        "space": None if recipe.space is None else recipe.space.described(),
        "fit": plain_fit(recipe.fit),
    }
    found = study.user_attrs.get(_KNOWN_BY)
    if found is None and not study.get_trials(deepcopy=False):
        study.set_user_attr(_KNOWN_BY, wanted)
        return
    if found is None:
        raise ValueError(
            "The study in the storage was not made by `search`: give this search another `name`. "
            f"Received: name={study.study_name!r} with {len(study.trials)} trials"
        )
    for key, value in wanted.items():
        if found.get(key) != value:
            raise ValueError(
                "The study in the storage is of another search, whose trials cannot be held "
                "against these: search with the same arguments, or give this search another "
                f"`name`. Received: name={study.study_name!r}, {key}={value}, in the study: "
                f"{found.get(key)}"
            )
