"""One trial of a search: a training and what came of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

from keras_kd.tuning.costs import cost
from keras_kd.tuning.epoch_logs import EpochLogs
from keras_kd.tuning.objectives import Objective
from keras_kd.tuning.recipe import Recipe, student_of
from keras_kd.tuning.report_to_trial import ReportToTrial
from keras_kd.tuning.study import DIVERGED, EPOCHS, PLACE, SEED, ended, next_seed


class TrialRun:
    """What Optuna calls with each trial.

    Args:
        recipe: How its model is made and fitted.
        objectives: What it is judged by.
        seed: The seed of the first trial; each later one has the next.
    """

    def __init__(self, recipe: Recipe, objectives: Sequence[Objective], seed: int) -> None:
        self.recipe = recipe
        self.objectives = list(objectives)
        self.seed = seed

    def __call__(self, trial: Any) -> float | list[float]:
        """Returns the values of a trial, which NaN says has failed.

        Raises:
            optuna.TrialPruned: If it was given up.
        """
        study = trial.study
        seed = next_seed(study, self.seed)
        trial.set_user_attr(SEED, seed)
        trial.set_user_attr(PLACE, ended(study))
        logged = [each.name for each in self.objectives if not each.is_cost]
        logs = EpochLogs(logged)
        last: list[keras.callbacks.Callback] = [logs]
        if len(self.objectives) == 1 and logged:  # Optuna prunes by one objective alone
            last.append(ReportToTrial(trial, logged[0]))
        name = f"{study.study_name}_trial_{trial.number}"
        model, callbacks = self.recipe.train(trial, seed, name, last)
        trial.set_user_attr(EPOCHS, len(logs.by_epoch))
        epoch = _last_epoch(callbacks, logs)
        values = self._values(model, logs, epoch)
        # A model that answers NaN still has an accuracy.
        if not all(map(math.isfinite, [*values, logs.by_epoch[epoch].get("loss", 0.0)])):
            trial.set_user_attr(DIVERGED, True)
            values = [math.nan for _ in values]
        return values if len(values) > 1 else values[0]

    def _values(self, model, logs, epoch):
        x, y = self.recipe.fit["x"], self.recipe.fit["y"]
        return [
            cost(each.name, student_of(model), x, y)
            if each.is_cost
            else logs.value(each.name, epoch)
            for each in self.objectives
        ]


def _last_epoch(callbacks, logs):
    """Returns the epoch whose weights the model ends with."""
    for each in callbacks:
        restores = isinstance(each, keras.callbacks.EarlyStopping) and each.restore_best_weights
        if restores and each.best_weights is not None:
            return each.best_epoch
    return max(logs.by_epoch)
