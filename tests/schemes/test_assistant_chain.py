"""Teacher assistants."""

import itertools

import keras
import numpy as np
import pytest
from models_for_tests import assert_same_weights, inferred, kd, log_softmax
from sequences import FIT, X, Y, adam, compiled, killed, named
from variants import first_of

from keras_kd import Distiller
from keras_kd.callbacks import LossWeightScheduler, StudentCheckpoint, TeacherRoute
from keras_kd.losses import DKDLoss, FitNetLoss
from keras_kd.schemes import assistant_chain

pytestmark = pytest.mark.core

SETTINGS = {"alpha": 0.3, "temperature": 2.0}


def chain(dropout=0.0):
    return [
        named("large", 9, seed=1),
        named("middle", 7, seed=2, dropout=dropout),
        named("small", 5, seed=3, dropout=dropout),
    ]


def by_hand(models, **fit):
    """Each model taught by the one before, in Distillers of its own."""
    histories = {}
    for teacher, student in itertools.pairwise(models):
        model = Distiller(student, teacher, **SETTINGS)
        model.compile(**compiled())
        histories[student.name] = model.fit(X, Y, **FIT, **fit).history
    return histories


def test_a_chain_is_distillers_one_after_another(capsys):
    wanted, models = chain(), chain()
    before = models[0].get_weights()
    result = assistant_chain(models, X, Y, compile=compiled(), distiller=SETTINGS, epochs=2, **FIT)
    assert capsys.readouterr().out == ""  # with verbose=0
    for one, other in zip(models[0].get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)  # the first model stays as it was
    assert result.histories == by_hand(wanted, epochs=2)
    for mine, other in zip(models, wanted, strict=True):
        assert_same_weights(mine, other, atol=0)
    assert result.models == {"middle": models[1], "small": models[2]}
    assert result.student is models[2]


def test_densely_every_larger_model_teaches():
    models, given = chain(), named("small", 5, seed=3)
    result = assistant_chain(
        models,
        X,
        Y,
        compile=compiled,
        distiller=SETTINGS,
        densely=True,
        **FIT,
    )
    said = [inferred(model, X) for model in models[:2]]
    before = inferred(given, X)
    labels = -log_softmax(before)[np.arange(12), Y]
    terms = np.mean([kd(each, before, 2.0).mean() for each in said])
    logs = result.histories["small"]
    np.testing.assert_allclose(logs["kd_loss"], [terms], rtol=1e-5)
    np.testing.assert_allclose(logs["loss"], [0.3 * labels.mean() + 0.7 * terms], rtol=1e-5)


@pytest.mark.alike
def test_densely_the_step_is_the_mean_of_the_steps_by_each_teacher():
    small = named("small", 5, seed=3)
    models = chain()
    settings = {"alpha": 0.3, "kd_loss": DKDLoss(weight=2.0)}
    assistant_chain(models, X, Y, compile=compiled, distiller=settings, densely=True, **FIT)
    alone = [named("small", 5, seed=3) for _ in range(2)]
    for student, teacher in zip(alone, models, strict=False):
        model = Distiller(student, teacher, **settings)
        model.compile(**compiled())
        model.fit(X, Y, **FIT)
    for weight, one, other, start in zip(
        models[2].get_weights(), *(each.get_weights() for each in (*alone, small)), strict=True
    ):
        np.testing.assert_allclose(weight, (one + other) / 2, atol=1e-6)
        assert np.abs(weight - start).max() > 0


@pytest.mark.alike
def test_densely_terms_and_layers_go_by_their_teachers_names():
    settings = {"feature_losses": [FitNetLoss(weight=0.1, layers={"hidden": "large/hidden"})]}
    half = LossWeightScheduler("kd_loss_large", lambda epoch, weight: weight / 2)
    result = assistant_chain(
        chain(), X, Y, compile=compiled, densely=True, distiller=settings, callbacks=[half], **FIT
    )
    weights = [history["kd_loss_large_weight"] for history in result.histories.values()]
    assert weights == [[0.5], [0.25]]
    assert result.histories["small"]["fit_net_loss"][0] > 0


@pytest.mark.alike
def test_densely_a_checkpoint_holds_all_that_teach(tmp_path):
    def files(name):
        file = tmp_path / "small.keras"
        return [keras.callbacks.ModelCheckpoint(file)] if name == "small" else []

    hint = FitNetLoss(weight=0.1, layers={"hidden": "large/hidden"})
    settings, models = {**SETTINGS, "feature_losses": [hint]}, chain()
    given = {"compile": compiled, "densely": True, "distiller": settings, **FIT}
    assistant_chain(models, X, Y, callbacks=files, **given)
    loaded = keras.saving.load_model(tmp_path / "small.keras")
    assert_same_weights(loaded.student, models[2], atol=0)
    assert list(loaded.term_weights) == ["kd_loss_large", "kd_loss_middle", "fit_net_loss"]
    said, ours = [inferred(model, X) for model in models[:2]], inferred(models[2], X)
    terms = np.mean([kd(each, ours, 2.0).mean() for each in said])
    np.testing.assert_allclose(loaded.fit(X, Y, **FIT).history["kd_loss"], [terms], rtol=1e-5)


@pytest.mark.alike
@first_of("training", ["small", "middle"])
def test_a_chain_that_was_stopped_ends_as_one_that_was_not(tmp_path, training):
    given = {"compile": adam, "distiller": SETTINGS, "epochs": 2, **FIT}
    whole = assistant_chain(chain(0.5), X, Y, **given)
    given["folder"] = tmp_path / "chain"
    with pytest.raises(KeyboardInterrupt):
        assistant_chain(chain(0.5), X, Y, callbacks=killed(training, 1), **given)
    result = assistant_chain(chain(0.5), X, Y, **given)
    assert list(result.histories) == ["middle", "small"]
    for name, model in result.models.items():
        assert_same_weights(model, whole.models[name], atol=1e-6)
        for metric, values in whole.histories[name].items():
            np.testing.assert_allclose(result.histories[name][metric], values, rtol=1e-5)


@pytest.mark.alike
def test_what_is_finished_is_loaded_and_not_trained_again(tmp_path, capsys):
    given = {"compile": compiled, "folder": tmp_path, "densely": True, **FIT}
    first = assistant_chain(chain(), X, Y, **{**given, "verbose": 2})
    lines = [line for line in capsys.readouterr().out.splitlines() if " of 2: " in line]
    assert lines == ["1 of 2: middle, taught by large", "2 of 2: small, taught by large, middle"]
    models = chain()
    killed_if_trained = killed("middle", 0)
    again = assistant_chain(
        models, X, Y, callbacks=killed_if_trained, **{**given, "verbose": "auto"}
    )
    assert capsys.readouterr().out.splitlines() == [
        "1 of 2: middle, trained already",
        "2 of 2: small, trained already",
    ]
    assert again.histories == first.histories
    assert_same_weights(models[1], first.models["middle"], atol=0)
    assert_same_weights(models[2], first.student, atol=0)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "1_middle.json",
        "1_middle.weights.h5",
        "2_small.json",
        "2_small.weights.h5",
        "sequence.json",
    ]


@pytest.mark.alike
def test_a_folder_of_another_sequence_is_refused(tmp_path):
    given = {"compile": compiled, "folder": tmp_path, **FIT}
    with pytest.raises(KeyboardInterrupt):
        assistant_chain(chain(), X, Y, callbacks=killed("middle", 0), **given)
    others = {
        "fit=": (chain(), {"epochs": 2}),
        "distiller=": (chain(), {"distiller": {"alpha": 0.5}}),
        "compile=": (chain(), {"compile": adam}),
        "densely=True": (chain(), {"densely": True}),
        "trainings": (chain()[:2], {}),
        "teacher=": ([named("large", 9, seed=8), *chain()[1:]], {}),
        "model=": ([*chain()[:2], named("small", 4)], {}),
    }
    for told, (models, change) in others.items():
        with pytest.raises(ValueError, match=f"another sequence.*Received: {told}"):
            assistant_chain(models, X, Y, **{**given, **change})


@pytest.mark.alike
def test_it_takes_what_fit_takes(tmp_path):
    weighted = {"sample_weight": np.arange(12.0), "validation_data": (X, Y), "validation_freq": 2}
    result = assistant_chain(
        chain()[1:],
        X,
        Y,
        compile=lambda: {**compiled(), "metrics": ["accuracy"], "steps_per_execution": 2},
        folder=tmp_path,
        epochs=2,
        **{**FIT, "batch_size": 6, **weighted},
    )
    model, small = chain()[1:]
    wanted = Distiller(small, model)
    wanted.compile(**compiled(), metrics=["accuracy"], steps_per_execution=2)
    history = wanted.fit(X, Y, epochs=2, **{**FIT, "batch_size": 6, **weighted}).history
    assert result.histories["small"] == history
    assert len(history["val_accuracy"]) == 1
    assert np.isnan(result.history["val_accuracy"]).tolist() == [True, False]


@pytest.mark.alike
def test_callbacks_come_in_a_list_or_by_name(tmp_path):
    def files(name):
        csv = keras.callbacks.CSVLogger(tmp_path / f"{name}.csv")
        return [StudentCheckpoint(tmp_path / f"{name}.weights.h5", **weights), csv]

    weights = {"save_weights_only": True}
    assistant_chain(chain(), X, Y, compile=compiled, callbacks=files, **FIT)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "middle.csv",
        "middle.weights.h5",
        "small.csv",
        "small.weights.h5",
    ]
    seen = []
    whole = keras.callbacks.CSVLogger(tmp_path / "all.csv", append=True)
    watching = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    assistant_chain(chain(), X, Y, compile=compiled, callbacks=[watching, whole], epochs=2, **FIT)
    assert seen == [0, 1, 0, 1]
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 5  # a head, and the epochs


@pytest.mark.alike
def test_a_call_that_is_wrong_leaves_its_folder_alone(tmp_path):
    with pytest.raises(ValueError, match="outputs of one shape"):
        models = [*chain(), named("other", 2, classes=4)]
        assistant_chain(models, X, Y, compile=compiled, folder=tmp_path, **FIT)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.alike
def test_an_assistant_that_is_larger_than_its_teacher_is_warned_of():
    with pytest.warns(UserWarning, match="'small' of 43 parameters, taught by 'tiny' of 27"):
        assistant_chain(
            [named("tiny", 3), named("small", 5)], X, Y, compile=compiled, epochs=1, **FIT
        )


def sharing():
    """A chain whose last model trains a layer of the first."""
    large, middle, _ = chain()
    return [large, middle, keras.Model(large.input, large.output, name="small")]


WRONG = [
    (lambda: {"models": sharing()}, "student 'small', teacher 'large', 4 shared variables"),
    (lambda: {"models": chain()[:1]}, "at least two models"),
    (lambda: {"models": [*chain(), "small.keras"]}, r"models\[3\]='small.keras'"),
    (lambda: {"models": [*chain(), keras.Sequential([keras.layers.Dense(3)])]}, "not built"),
    (lambda: {"models": [named("a"), named("b"), named("a")]}, "name= of its own"),
    (lambda: {"models": [*chain(), named("other", 2, classes=4)]}, "outputs of one shape"),
    (lambda: {"epochs": 0}, "`epochs`.*Received: epochs=0"),
    (lambda: {"initial_epoch": 3}, "initial_epoch=3"),
    (lambda: {"epoch": 3}, "Did you mean 'epochs'"),
    (lambda: {"distiller": {"temprature": 3.0}}, "Did you mean 'temperature'"),
    (lambda: {"distiller": {"alpha": 3.0}}, "alpha=3.0"),
    (lambda: {"compile": "adam"}, "compile='adam'"),
    (lambda: {"compile": lambda: "adam"}, "compile='adam'"),
    (lambda: {"callbacks": "early"}, "callbacks='early'"),
    (lambda: {"callbacks": [keras.callbacks.ModelCheckpoint("a.keras")]}, "StudentCheckpoint"),
    (lambda: {"callbacks": [keras.callbacks.CSVLogger("a.csv")]}, "the same files.*CSVLogger"),
    (lambda: {"callbacks": [TeacherRoute("way", every=1)]}, "the same files.*TeacherRoute"),
    (lambda: {"x": (batch for batch in [(X, Y)]), "y": None}, "use up a generator"),
    (lambda: {"densely": "yes"}, "densely='yes'"),
    (lambda: {"densely": True, "distiller": {"kd_loss": None}}, "kd_loss=None"),
    (lambda: {"folder": 3}, "folder=3"),
]


@pytest.mark.alike
@pytest.mark.parametrize("change, told", WRONG)
def test_what_is_wrong_is_told_before_the_first_step(change, told):
    given = {"models": chain(), "x": X, "y": Y, "compile": compiled, **FIT, **change()}
    with pytest.raises((TypeError, ValueError), match=told):
        assistant_chain(given.pop("models"), given.pop("x"), given.pop("y"), **given)
