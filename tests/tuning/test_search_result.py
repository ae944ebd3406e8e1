"""What a result says of its trials beside the best."""

import optuna
import pytest

from keras_kd.evaluation.table_column import DASH
from keras_kd.tuning import SearchResult
from keras_kd.tuning.objectives import find_objectives

pytestmark = [pytest.mark.core, pytest.mark.alike]


def of_function(function, trials):
    """A result of trials that trained nothing."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(function, n_trials=trials)
    return SearchResult(study, find_objectives("val_loss", None), None, seed=0)


def test_the_setting_that_matters_comes_first():
    def function(trial):
        matters = trial.suggest_float("matters", -1.0, 1.0)
        trial.suggest_float("idle", -1.0, 1.0)
        return matters**2

    found = of_function(function, 60).importance()
    assert list(found) == ["matters", "idle"]
    assert sum(found.values()) == pytest.approx(1.0) and found["matters"] > 0.8


def test_one_trial_cannot_say_what_matters():
    result = of_function(lambda trial: trial.suggest_float("alpha", 0.0, 1.0), 1)
    with pytest.raises(ValueError, match=r"two complete trials.*Received: 1 of 1 trials"):
        result.importance()


def test_settings_that_some_trials_lack_and_odd_names_fit_the_table():
    def function(trial):
        if trial.number:
            return float(trial.suggest_categorical("a|b", ["x|y"]) == "x|y")
        return trial.suggest_float("alpha", 0.0, 1.0)

    lines = str(of_function(function, 2)).splitlines()
    assert lines[0].count(" | ") == lines[2].count(" | ") == 6
    assert lines[2].startswith("| 0 | 0.") and f"| {DASH} |" in lines[2]
    assert r"| x\|y | 1 |" in lines[3]
