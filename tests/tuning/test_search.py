"""A search: what it trains, chooses, keeps and lets go."""

import gc
import weakref

import keras
import numpy as np
import optuna
import pytest
from models_for_tests import assert_same_weights, inferred
from searches import (
    FIT,
    SPACE,
    TEACHER,
    VALIDATION,
    Odd,
    X,
    Y,
    compiled,
    make_distiller,
    student,
)

import keras_kd
from keras_kd import Distiller
from keras_kd.tuning import search

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def found():
    return search(make_distiller, SPACE, X, Y, trials=2, objectives="val_loss", seed=7, **FIT)


def by_hand(row, epochs=1):
    """What a row's settings come to, without a search."""
    keras.utils.set_random_seed(row["seed"])
    model = make_distiller(row["settings"])
    history = model.fit(X, Y, epochs=epochs, **FIT).history
    return model, history["val_loss"]


@pytest.mark.alike
def test_each_trial_is_the_training_that_its_settings_and_seed_say(found):
    assert [row["seed"] for row in found.rows] == [7, 8]
    assert [row["state"] for row in found.rows] == ["complete"] * 2
    assert len({row["settings"]["alpha"] for row in found.rows}) == 2
    for row in found.rows:
        assert 0.0 <= row["settings"]["alpha"] <= 1.0 and 2 <= row["settings"]["width"] <= 9
        _, losses = by_hand(row)
        assert row["values"] == {"val_loss": pytest.approx(losses[-1], rel=1e-5)}


@pytest.mark.alike
def test_the_best_is_the_best_on_validation_data_and_can_be_had_again(found):
    best = min(found.rows, key=lambda row: row["values"]["val_loss"])
    assert found.best_trial == best["trial"] and found.best_settings == best["settings"]
    assert found.best_value == best["values"]["val_loss"]
    assert found.front == [best]
    model = found.train()
    again = model.evaluate(*VALIDATION, return_dict=True, verbose=0)
    assert again["loss"] == pytest.approx(found.best_value, rel=1e-5)
    other, _ = by_hand({**best, "seed": 50})
    assert_same_weights(found.train(best["trial"], seed=50), other)
    with pytest.raises(ValueError, match=r"Received: trial=2. Available: \[0, 1\]"):
        found.train(2)


@pytest.mark.alike
def test_the_table_has_a_line_a_trial_and_says_which_is_best(found):
    head, _, *lines = found.to_markdown().split("\n\n")[0].splitlines()
    assert head == "| Trial | alpha | width | val_loss | Epochs | Seconds | State |"
    assert len(lines) == 2 and all(line.endswith("| complete |") for line in lines)
    assert str(found).endswith(f"Best: trial {found.best_trial}, val_loss {found.best_value:.4g}.")


@pytest.mark.alike
def test_a_search_that_was_stopped_ends_as_one_that_was_not(tmp_path, found):
    given = {"objectives": "val_loss", "seed": 7, **FIT}
    storage = tmp_path / "studies" / "study.db"
    search(make_distiller, SPACE, X, Y, trials=1, storage=storage, **given)
    # A killed process leaves a trial that runs.
    study = optuna.load_study(study_name="search", storage=f"sqlite:///{storage}")
    study.ask().suggest_float("alpha", 0.0, 1.0)

    def interrupt(settings):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(interrupt, SPACE, X, Y, trials=2, storage=storage, **given)
    result = search(make_distiller, SPACE, X, Y, trials=2, storage=str(storage), **given)
    assert [row["state"] for row in result.rows] == ["complete", "failed", "failed", "complete"]
    ended = [row for row in result.rows if row["state"] == "complete"]
    for one, other in zip(ended, found.rows, strict=True):
        assert one["settings"] == other["settings"] and one["seed"] == other["seed"]
        assert one["values"]["val_loss"] == pytest.approx(other["values"]["val_loss"], rel=1e-5)

    def not_again(settings):
        raise AssertionError

    for _ in range(2):
        with pytest.raises(AssertionError):
            search(not_again, SPACE, X, Y, trials=3, storage=storage, **given)
    third = search(make_distiller, SPACE, X, Y, trials=3, storage=storage, **given)
    *_, one, other, last = third.rows  # what fails twice does not fail for ever
    assert (one["seed"], other["seed"]) == (9, 9) and one["settings"] == other["settings"]
    assert last["seed"] > 9 and last["settings"] != one["settings"]
    again = search(not_again, SPACE, X, Y, trials=2, storage=f"sqlite:///{storage}", **given)
    assert again.best_settings == third.best_settings
    with pytest.raises(ValueError, match=r"of another search.*epochs"):
        search(not_again, SPACE, X, Y, storage=storage, epochs=2, **given)
    with pytest.raises(ValueError, match=r"of another search.*space="):
        search(not_again, {"alpha": (0.0, 0.5)}, X, Y, storage=storage, **given)
    with pytest.raises(optuna.exceptions.DuplicatedStudyError):
        search(not_again, SPACE, X, Y, storage=storage, load_if_exists=False, **given)
    assert [file.name for file in storage.parent.iterdir()] == ["study.db"]


@pytest.mark.alike
def test_a_file_is_searched_in_by_one_process_at_a_time(tmp_path):
    def search_again(settings):
        return search(make_distiller, SPACE, X, Y, storage=tmp_path / "study.db", **FIT)

    with pytest.raises(ValueError, match="Another search is at work in this file"):
        search(search_again, SPACE, X, Y, storage=tmp_path / "study.db", **FIT)
    (tmp_path / "notes.txt").write_text("no study")
    for place in (tmp_path / "notes.txt", tmp_path):
        with pytest.raises(ValueError, match="must be the path of a SQLite file"):
            search(make_distiller, SPACE, X, Y, storage=place, **FIT)
    assert (tmp_path / "notes.txt").read_text() == "no study"


@pytest.mark.alike
def test_a_trial_that_does_not_go_well_is_given_up():
    ends, names = [], []

    class Ended(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            ends.append(self.model)

    def callbacks(name):
        names.append(name)
        return Ended()

    given = {"epochs": 2, "pruner": Odd(), "callbacks": callbacks, **FIT}
    result = search(make_distiller, SPACE, X, Y, trials=2, **given)
    assert [row["state"] for row in result.rows] == ["complete", "pruned"]
    assert [row["epochs"] for row in result.rows] == [2, 1]
    assert len(ends) == 2  # what other callbacks hold is closed
    assert names == ["search_trial_0", "search_trial_1"]
    assert result.best_trial == 0


def test_models_of_ended_trials_leave_and_what_the_user_holds_stays():
    models, living = [], []

    def make(settings):
        gc.collect()
        living.append(sum(ref() is not None for ref in models))
        model = make_distiller(settings)
        models.extend([weakref.ref(model), weakref.ref(model.student)])
        return model

    before = inferred(TEACHER, X)
    keras.config.set_dtype_policy("mixed_bfloat16")
    interactive = keras.config.is_interactive_logging_enabled()
    search(make, SPACE, X, Y, trials=2, **FIT)
    assert living == [0, 0] and [ref() for ref in models] == [None] * 4
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert keras.config.is_interactive_logging_enabled() == interactive
    np.testing.assert_array_equal(inferred(TEACHER, X), before)


@pytest.mark.alike
def test_one_cache_is_enough_for_all_trials(tmp_path, found):
    calls = []

    def teacher(x):
        calls.append(len(x))
        return np.asarray(inferred(TEACHER, x))

    cache = keras_kd.TeacherCache(tmp_path, teacher, dtype="float32")
    train = cache.label((X, Y)).batch(12)
    labelled = list(calls)

    def make(settings):
        return compiled(Distiller(student(settings["width"]), alpha=settings["alpha"]))

    data = {"validation_data": VALIDATION, "verbose": 0}
    result = search(make, SPACE, train, trials=2, objectives="val_loss", seed=7, **data)
    assert calls == labelled
    for one, other in zip(result.rows, found.rows, strict=True):
        assert one["values"]["val_loss"] == pytest.approx(other["values"]["val_loss"], rel=1e-4)
    cost = search(make, SPACE, train, trials=1, objectives=("val_loss", "latency"), **data)
    assert cost.rows[0]["values"]["latency"] > 0.0


@pytest.mark.alike
def test_quality_and_cost_have_a_front():
    result = search(
        make_distiller, SPACE, X, Y, trials=2, objectives=("val_accuracy", "parameters"), **FIT
    )
    values = [(row["values"]["val_accuracy"], -row["values"]["parameters"]) for row in result.rows]
    expected = {
        place
        for place, (a, b) in enumerate(values)
        if not any(c >= a and d >= b and (c, d) != (a, b) for c, d in values)
    }
    assert {row["trial"] for row in result.front} == expected
    accuracies = [row["values"]["val_accuracy"] for row in result.front]
    assert accuracies == sorted(accuracies, reverse=True)
    for row in result.rows:
        width = row["settings"]["width"]
        assert row["values"]["parameters"] == 4 * width + width + 3 * width + 3
    assert "No other is better in all: trials" in str(result)
    with pytest.raises(ValueError, match="Several objectives have no best trial"):
        _ = result.best_settings


@pytest.mark.alike
def test_make_distiller_may_ask_a_trial_itself():
    def make(trial):
        rate = trial.suggest_float("rate", 0.01, 1.0, log=True)
        width = trial.suggest_int("width", 2, 4) if rate > 0.1 else 2
        return compiled(student(width), rate)

    result = search(make, None, X, Y, trials=2, objectives="val_loss", **FIT)
    loss, _ = result.train().evaluate(*VALIDATION, verbose=0)
    assert loss == pytest.approx(result.best_value, rel=1e-5)


@pytest.mark.alike
def test_the_value_is_that_of_the_weights_that_the_training_ends_with():
    def make(settings):  # a rate at which the loss grows
        return compiled(student(4), settings["rate"])

    def stop(name):
        return keras.callbacks.EarlyStopping("val_loss", patience=5, restore_best_weights=True)

    given = {"trials": 1, "objectives": "val_loss", "epochs": 3, **FIT}
    space = {"rate": (40.0, 50.0)}
    restored = search(make, space, X, Y, callbacks=stop, **given)
    last = search(make, space, X, Y, **given)
    losses = list(last.study.trials[0].intermediate_values.values())
    assert last.best_value == losses[-1]
    assert restored.best_value == pytest.approx(min(losses), rel=1e-5) and min(losses) < losses[-1]


@pytest.mark.alike
def test_a_trial_that_diverges_is_one_and_is_not_chosen():
    def make(settings):
        return compiled(student(4), float("inf") if settings["broken"] else 0.1)

    sampler = optuna.samplers.GridSampler({"broken": [True, False]}, seed=0)
    given = {"trials": 2, "sampler": sampler, "epochs": 2, **FIT}
    result = search(make, {"broken": [True, False]}, X, Y, **given)
    assert sorted(row["state"] for row in result.rows) == ["complete", "diverged"]
    assert result.best_settings == {"broken": False}
    with pytest.raises(ValueError, match=r"No trial ended with a value.*'diverged': 1"):
        search(make, {"broken": [True]}, X, Y, trials=1, epochs=2, **FIT)
