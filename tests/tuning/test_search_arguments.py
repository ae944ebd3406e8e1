"""What a search refuses, before the first step where it can be known."""

import builtins

import keras
import pytest
from models_for_tests import net
from searches import (
    FIT,
    SPACE,
    TEACHER,
    Odd,
    X,
    Y,
    compiled,
    make_distiller,
    make_student,
    student,
)

from keras_kd import Distiller
from keras_kd.losses import FitNetLoss
from keras_kd.schemes import MutualDistiller, SelfDistiller
from keras_kd.tuning import ReportToTrial, search

pytestmark = [pytest.mark.core, pytest.mark.alike]

ONE = compiled(student(3))
STEPS = []


class Steps(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        STEPS.append(batch)


def refused(make, error, said, space=SPACE, data=(X, Y), **given):
    STEPS.clear()
    given = {"callbacks": lambda name: Steps(), "trials": 1, **FIT, **given}
    with pytest.raises(error, match=said):
        search(make, space, *data, **given)


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"trials": 0}, ValueError, "`trials` must be a whole number of at least 1"),
        ({"seed": -1}, ValueError, "`seed` must be a whole number"),
        ({"objectives": "accuracy_loss"}, ValueError, "A loss of the training data"),
        ({"validation_data": None}, ValueError, "needs validation data"),
        ({"validation_data": (each for each in [])}, ValueError, "would use up a generator"),
        ({"space": {}}, ValueError, "`space` must be a dict"),
        ({"callbacks": [Steps()]}, TypeError, "carry what they know from one trial to the next"),
        ({"callbacks": Steps()}, TypeError, "carry what they know from one trial to the next"),
        ({"callbacks": lambda: []}, TypeError, "of a training's name"),
        ({"batchsize": 3}, TypeError, "fit takes no such argument.*Did you mean 'batch_size'"),
        ({"epochs": 0}, ValueError, "`epochs` must be a whole number"),
        ({"sampler": "tpe"}, TypeError, "`sampler` must be an object of optuna.samplers"),
        ({"pruner": Odd}, TypeError, "`pruner` must be an object of optuna.pruners"),
        ({"storage": 3.0}, TypeError, "`storage` must be a path"),
        ({"storage": "gs://bucket/study.db"}, ValueError, "the URL of a database whose driver"),
        ({"load_if_exists": 1}, ValueError, "`load_if_exists` must be True or False"),
        ({"name": ""}, ValueError, "`name` must be a study's name"),
    ],
)
def test_a_wrong_argument_is_told_before_anything_is_trained(given, error, said):
    def make(settings):
        raise AssertionError

    refused(make, error, said, **given)


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (ONE, TypeError, "`make_distiller` must be a function"),
        (lambda: ONE, TypeError, "of the settings, or of an Optuna trial"),
        (lambda settings: None, TypeError, "must return a compiled keras.Model"),
        (lambda settings: student(3), ValueError, "must compile the model"),
        (lambda settings: settings["temperture"], KeyError, "no such setting"),
    ],
)
def test_what_makes_no_compiled_model_is_told(make, error, said):
    refused(make, error, said)
    assert STEPS == []


def test_weights_of_an_earlier_trial_are_refused():
    refused(lambda settings: ONE, ValueError, "Each trial begins with new weights", trials=2)
    mine = student(3)

    def make(settings):
        return compiled(Distiller(mine, TEACHER))

    refused(make, ValueError, "Each trial begins with new weights", trials=2)


def test_a_metric_that_is_not_logged_is_told_after_one_epoch():
    said = "no such metric.*not logged: .'val_auc'.*Available: .*'val_accuracy'"
    refused(make_distiller, ValueError, said, objectives="val_auc", epochs=3)
    assert STEPS == [0]
    given = {"space": {"rate": (0.1, 1.0)}, "objectives": ("val_auc", "latency"), "epochs": 3}
    refused(make_student, ValueError, said, **given)


def test_epochs_without_validation_have_nothing_to_choose_by():
    given = {"space": {"rate": (0.1, 1.0)}, "validation_freq": 2}
    refused(make_student, ValueError, "No epoch was validated", **given)


def taught(settings):
    hint = FitNetLoss(layers={"hidden": "hidden"}, name="hint_loss")
    given = {"feature_losses": [hint], "validate_with_teacher": True}
    return compiled(Distiller(net(3), TEACHER, **given))


def taught_by_itself(settings):
    return compiled(SelfDistiller(net(3), ["hidden"]))


def taught_by_each_other(settings):
    return compiled(MutualDistiller([named("one"), named("other")]))


def named(name):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)], name=name)


@pytest.mark.parametrize(
    ("make", "names", "instead"),
    [
        (taught, ["val_loss", "val_kd_loss", "val_hint_loss"], "'val_student_loss' or a metric"),
        (
            taught_by_itself,
            ["val_loss", "val_hidden_kd_loss", "val_hidden_feature_loss"],
            "'val_hidden_loss' or 'val_deepest_loss' or a metric",
        ),
        (
            taught_by_each_other,
            ["val_loss", "val_one_mutual_loss"],
            "'val_one_loss' or 'val_other_loss' or a metric",
        ),
    ],
)
def test_validation_losses_that_hold_the_settings_are_refused(make, names, instead):
    for name in names:
        refused(make, ValueError, f"hold alpha.*take {instead}", objectives=name)
        assert STEPS == []


def test_the_labels_loss_of_an_exit_can_be_chosen_by():
    given = {"objectives": "val_hidden_loss", **FIT}
    with pytest.warns(UserWarning, match="in no trial"):
        result = search(taught_by_itself, SPACE, X, Y, trials=1, **given)
    assert result.best_value > 0.0


def test_settings_that_are_copied_and_joined_are_still_asked():
    def make(settings):
        more = {"rate": 0.1} | (settings | {"kind": 1}).copy()
        return compiled(student(more["width"]), more["rate"])

    search(make, {"width": (2, 9)}, X, Y, trials=1, **FIT)


def test_a_trial_that_is_asked_for_nothing_has_nothing_to_search():
    refused(lambda trial: compiled(student(3)), ValueError, "nothing to search for", space=None)


def test_a_setting_that_makes_no_difference_is_told():
    def make(settings):
        return compiled(student(settings["width"]), settings.get("rate", 0.1))

    space = {"width": (2, 9), "rte": (0.1, 1.0)}
    with pytest.warns(UserWarning, match=r"Received: \['rte'\]"):
        search(make, space, X, Y, trials=1, **FIT)


def test_a_callback_of_ones_own_says_what_is_not_logged():
    callback = ReportToTrial(None, "val_auc")
    with pytest.raises(ValueError, match=r"no such metric.*monitor='val_auc'"):
        compiled(student(2)).fit(X, Y, callbacks=[callback], verbose=0)


def test_without_optuna_the_extra_is_named(monkeypatch):
    whole = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "optuna":
            raise ImportError(name)
        return whole(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"keras_kd\[tuning\]"):
        search(make_distiller, SPACE, X, Y, **FIT)
