"""What a search has found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_kd.checks import check_whole_number
from keras_kd.evaluation.table_column import DASH
from keras_kd.tuning.objectives import Objective
from keras_kd.tuning.optuna_package import optuna_package
from keras_kd.tuning.recipe import Recipe
from keras_kd.tuning.study import EPOCHS, SEED, has_diverged


class SearchResult:
    """The trials of a `search`, which prints as a table.

    Args:
        study: Optuna's study.
        objectives: What its trials are judged by.
        recipe: How a trial's model is made and fitted.
        seed: The seed of the first trial.

    Attributes:
        study: Optuna's study, for all that Optuna can do with one.
        objectives: The `name` and `direction` of each.
        seed: See above.

    Example:

    >>> import keras, numpy as np, optuna
    >>> from keras_kd.tuning import search
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> def make(settings):
    ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    ...     model.compile(keras.optimizers.SGD(settings["rate"]), "mse")
    ...     return model
    >>> data = np.ones((4, 2)), np.zeros((4, 1))
    >>> result = search(make, {"rate": (1e-3, 1e-1, "log")}, *data, trials=1,
    ...                 objectives="val_loss", validation_data=data, verbose=0)
    >>> result.rows[0]["state"], result.rows[0]["epochs"], list(result.best_settings)
    ('complete', 1, ['rate'])
    """

    def __init__(
        self, study: Any, objectives: Sequence[Objective], recipe: Recipe, seed: int
    ) -> None:
        self.study = study
        self.objectives = list(objectives)
        self.recipe = recipe
        self.seed = seed

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One dict a trial: what it was given, and what came of it.

        `trial` is its number, `state` one of `"complete"`, `"pruned"` (given up; the value is the
        last that was reported), `"diverged"` (not a number) and `"failed"` (it did not end, and
        counts for nothing); `settings` and `values` are dicts by name, `epochs` and `seconds` what
        it took, `seed` its seed.
        """
        return [self._row(trial) for trial in self.study.get_trials(deepcopy=False)]

    @property
    def front(self) -> list[dict[str, Any]]:
        """The rows of those trials that no other beats in all objectives: one's best, or a front.

        They are ordered by the first objective, the best first.
        """
        rows = [self._row(trial) for trial in self.study.best_trials]
        name, sign = self.objectives[0].name, -1 if self._is_more_better(0) else 1
        return sorted(rows, key=lambda row: sign * row["values"][name])

    @property
    def best_trial(self) -> int:
        """The number of the best trial.

        Raises:
            ValueError: If there are several objectives.
        """
        if len(self.objectives) > 1:
            raise ValueError(
                "Several objectives have no best trial: choose one of `front` by its number, "
                "`result.train(trial)`. Received: objectives="
                f"{[each.name for each in self.objectives]}. Available: "
                f"{[row['trial'] for row in self.front]}"
            )
        return self.study.best_trial.number

    @property
    def best_settings(self) -> dict[str, Any]:
        """The settings of the best trial; a choice from a dict is its name."""
        return self._row(self.study.trials[self.best_trial])["settings"]

    @property
    def best_value(self) -> float:
        """What the best trial came to, on the validation data that it was chosen by."""
        return self.study.trials[self.best_trial].value

    def importance(self) -> dict[str, float]:
        """Returns how much each setting mattered, the most important first; they sum to 1.

        It is how far the values of the best tenth of the trials lie from those of all (PED-ANOVA).
        With less than some fifty trials it is a hint at most.

        Raises:
            ValueError: If less than two trials are complete.

        Reference: Watanabe, Bansal, Hutter, "PED-ANOVA: Efficiently Quantifying Hyperparameter
        Importance in Arbitrary Subspaces", IJCAI 2023.
        """
        complete = [row for row in self.rows if row["state"] == "complete"]
        if len(complete) < 2:
            raise ValueError(
                "Settings matter by comparison: two complete trials at least were expected. "
                f"Received: {len(complete)} of {len(self.rows)} trials complete"
            )
        found = optuna_package().importance.get_param_importances(self.study)
        return {name: float(value) for name, value in found.items()}

    def train(self, trial: int | None = None, *, seed: int | None = None) -> keras.Model:
        """Makes and fits the model of a trial again, to the end.

        Args:
            trial: Its number; None is the best.
            seed: Of all that is random in it, as in `search`. None is the trial's own: then it is
                the model that the trial had, where the machine's sums and the data's order are the
                same.

        Returns:
            What `make_distiller` returned, trained.

        Raises:
            TypeError, ValueError: If there is no such trial, or it has no settings.
        """
        number = self.best_trial if trial is None else trial
        number = check_whole_number("trial", number, least=0)
        numbers = [row["trial"] for row in self.rows if row["settings"]]
        if number not in numbers:
            raise ValueError(
                f"`trial` must be the number of one. Received: trial={trial}. Available: {numbers}"
            )
        found = self.study.trials[number]
        if seed is None:
            seed = found.user_attrs.get(SEED, self.seed)
        seed = check_whole_number("seed", seed, least=0)
        fixed = optuna_package().trial.FixedTrial(found.params, number)
        name = f"{self.study.study_name}_trial_{number}_seed_{seed}"  # not the trial's own files
        model, _ = self.recipe.train(fixed, seed, name)
        return model

    def to_markdown(self) -> str:
        """The table of all trials in Markdown, and which is best; dashes stand for what is not."""
        rows = self.rows
        names = list(dict.fromkeys(name for row in rows for name in row["settings"]))
        figures = [each.name for each in self.objectives]
        lines = [["Trial", *names, *figures, "Epochs", "Seconds", "State"]]
        for row in rows:
            cells = [row["settings"].get(name, DASH) for name in names]
            cells += [row["values"].get(name, DASH) for name in figures]
            cells += [row["epochs"], DASH if row["seconds"] is None else f"{row['seconds']:.1f}"]
            lines.append([str(row["trial"]), *map(_text, cells), row["state"]])
        head, *body = ["| " + " | ".join(line) + " |" for line in lines]
        rule = "|" + "--:|" * (len(lines[0]) - 1) + ":--|"
        return "\n".join([head, rule, *body, "", self._said()])

    def _said(self):
        numbers = ", ".join(str(row["trial"]) for row in self.front)
        if len(self.objectives) > 1:
            return f"No other is better in all: trials {numbers}."
        name = self.objectives[0].name
        return f"Best: trial {self.best_trial}, {name} {_text(self.best_value)}."

    def _row(self, trial):
        states = optuna_package().trial.TrialState
        state = "failed" if trial.state == states.FAIL else trial.state.name.lower()
        values = [] if trial.values is None else trial.values
        names = [each.name for each in self.objectives]
        epochs = trial.user_attrs.get(EPOCHS, len(trial.intermediate_values))
        return {
            "trial": trial.number,
            "state": "diverged" if has_diverged(trial) else state,
            "settings": dict(trial.params),
            "values": dict(zip(names, values, strict=False)),
            "epochs": epochs,
            "seconds": None if trial.duration is None else trial.duration.total_seconds(),
            "seed": trial.user_attrs.get(SEED),
        }

    def _is_more_better(self, place):
        return self.objectives[place].direction == "maximize"

    def __str__(self) -> str:
        return self.to_markdown()

    def __repr__(self) -> str:
        names = [each.name for each in self.objectives]
        return f"SearchResult(study={self.study.study_name!r}, objectives={names})"


def _text(value):
    """A cell of the table."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
