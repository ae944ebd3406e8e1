"""Trainings in stages."""

import random
import re

import keras
import numpy as np
import pytest
from models_for_tests import assert_same_weights, inferred, normalized_net, sgd
from sequences import FIT, X, Y, adam, compiled, killed, named

from keras_kd import Distiller
from keras_kd.callbacks import AlphaScheduler
from keras_kd.losses import FitNetLoss
from keras_kd.schemes import Stage, stages
from keras_kd.teachers import MovingAverage

pytestmark = pytest.mark.core

HINT = {"alpha": 0.0, "kd_loss": None, "feature_losses": [FitNetLoss(layers={"hidden": "hidden"})]}
LABELS = {"alpha": 1.0, "kd_loss": None}


def teacher():
    return named("teacher", 9, seed=1)


def run(student, parts, *data, **given):
    data = data or (X, Y)
    return stages(student, teacher(), parts, *data, **{"compile": compiled, **FIT, **given})


class Weights(keras.callbacks.Callback):
    """Keeps the student's weights after each epoch."""

    def __init__(self):
        super().__init__()
        self.of_epoch = {}

    def on_epoch_end(self, epoch, logs=None):
        self.of_epoch[epoch] = {w.path: np.array(w) for w in self.model.student.weights}


def moved(before, after):
    return {path for path in before if np.abs(before[path] - after[path]).max() > 0}


def test_stages_are_distillers_one_after_another():
    student, wanted = named("student"), named("student")
    result = run(
        student,
        [Stage("distil", 2, temperature=2.0), Stage("labels", 1, learning_rate=0.01, **LABELS)],
        distiller={"alpha": 0.3},
    )
    first = Distiller(wanted, teacher(), alpha=0.3, temperature=2.0)
    first.compile(**compiled())
    histories = {"distil": first.fit(X, Y, epochs=2, **FIT).history}
    second = Distiller(wanted, None, **LABELS)
    second.compile(**{**compiled(), "optimizer": keras.optimizers.SGD(0.01)})
    histories["labels"] = second.fit(X, Y, epochs=1, **FIT).history
    assert result.histories == histories
    assert_same_weights(student, wanted, atol=0)
    assert result.student is student


def test_a_frozen_layer_does_not_move_and_one_that_is_unfrozen_trains():
    student, weights = named("student"), Weights()
    before = {w.path: np.array(w) for w in student.weights}
    run(student, [Stage("head", 1, trainable="scores"), Stage("all", 1)], callbacks=[weights])
    scores = {path for path in before if "scores" in path}
    assert moved(before, weights.of_epoch[0]) == scores
    assert moved(weights.of_epoch[0], weights.of_epoch[1]) == set(before)


@pytest.mark.alike
def test_a_frozen_batch_normalization_keeps_its_statistics():
    student, weights = normalized_net(), Weights()
    before = {w.path: np.array(w) for w in student.weights}
    parts = [Stage("head", 1, trainable=["scores"]), Stage("all", 1)]
    run(student, parts, callbacks=[weights], compile=adam)
    assert not any("norm" in path for path in moved(before, weights.of_epoch[0]))
    then = moved(weights.of_epoch[0], weights.of_epoch[1])
    assert {path.split("/")[-1] for path in then if "norm" in path} == {
        "gamma",
        "beta",
        "moving_mean",
        "moving_variance",
    }


@pytest.mark.alike
def test_fitnets_train_the_hint_and_then_distil():
    student, weights = named("student"), Weights()
    before = {w.path: np.array(w) for w in student.weights}
    parts = [Stage("hint", 1, trainable="hidden", **HINT), Stage("distil", 1)]
    result = run(student, parts, callbacks=[weights])
    assert moved(before, weights.of_epoch[0]) == {path for path in before if "hidden" in path}
    assert result.histories["hint"]["fit_net_loss"][0] > 0
    assert "fit_net_loss" not in result.histories["distil"]
    assert result.histories["distil"]["kd_loss"][0] > 0


@pytest.mark.alike
def test_a_stage_may_have_unlabelled_data_and_the_next_labels():
    more = np.concatenate([X, -X])
    parts = [Stage("unlabelled", 1, alpha=0.0, x=more), Stage("labelled", 1, **LABELS)]
    result = run(named("student"), parts)
    assert "student_loss" not in result.histories["unlabelled"]
    assert result.histories["labelled"]["student_loss"][0] > 0


@pytest.mark.alike
def test_a_scaled_optimizer_takes_a_stages_rate():
    def scaled():
        return {**compiled(), "optimizer": keras.optimizers.LossScaleOptimizer(sgd())}

    results = [
        run(named("student"), [Stage("slow", 1, learning_rate=0.01)], compile=each)
        for each in (scaled, compiled)
    ]
    assert_same_weights(results[0].student, results[1].student, atol=1e-6)


@pytest.mark.alike
def test_the_epochs_go_on_and_name_their_stage():
    seen = []
    alpha = AlphaScheduler(lambda epoch, alpha: seen.append(epoch) or 0.1 * epoch)
    parts = [Stage("one", 2), Stage("two", 1)]
    history = run(named("student"), parts, callbacks=[alpha]).history
    assert seen == [0, 1, 2]
    assert history["training"] == ["one", "one", "two"]
    np.testing.assert_allclose(history["alpha"], [0.0, 0.1, 0.2], atol=1e-7)
    assert len(history["loss"]) == 3


# A chain of models goes on by the same folder, and the next test's stages do.
@pytest.mark.slow
@pytest.mark.alike
def test_stages_that_were_stopped_end_as_those_that_were_not(tmp_path):
    parts = [Stage("hint", 1, trainable=["hidden"], **HINT), Stage("distil", 2)]
    given = {"compile": adam}
    whole = run(named("student", dropout=0.5), parts, **given)
    given["folder"] = tmp_path / "stages"
    with pytest.raises(KeyboardInterrupt):
        run(named("student", dropout=0.5), parts, callbacks=killed("distil", 2), **given)
    result = run(named("student", dropout=0.5), parts, **given)
    assert_same_weights(result.student, whole.student, atol=1e-6)
    for metric, values in whole.histories["distil"].items():
        np.testing.assert_allclose(result.histories["distil"][metric], values, rtol=1e-5)


@pytest.mark.alike
def test_a_projector_that_had_not_begun_begins_as_it_would_have(tmp_path):
    def began(seed, **given):
        student, larger = named("student"), teacher()
        random.seed(seed)
        parts = [Stage("hint", 1, **HINT), Stage("again", 1, **HINT)]
        return stages(student, larger, parts, X, Y, compile=compiled, **FIT, **given)

    whole = began(5)
    with pytest.raises(KeyboardInterrupt):
        began(5, callbacks=killed("again", 1), folder=tmp_path)
    result = began(6, folder=tmp_path)
    assert_same_weights(result.student, whole.student, atol=1e-6)
    (before,), (after,) = whole.epochs["again"], result.epochs["again"]
    assert after == pytest.approx(before, rel=1e-5)


@pytest.mark.alike
def test_what_is_trainable_is_put_back():
    student = keras.Sequential(
        [keras.Input((4,)), named("inner"), keras.layers.Dense(3, name="top")]
    )
    inner = student.layers[0]
    inner.get_layer("hidden").trainable = False

    def flags():
        return [
            *(each.trainable for each in (student, *student.layers, *inner.layers)),
            *(weight.trainable for weight in student.weights),
        ]

    before = flags()
    with pytest.raises(KeyboardInterrupt):
        parts = [Stage("a", 1, trainable="inner/hidden"), Stage("b", 1)]
        run(student, parts, callbacks=killed("a", 0))
    assert flags() == before
    weights = Weights()
    start = {w.path: np.array(w) for w in student.weights}
    parts = [
        Stage("inner", 1, trainable=lambda layer: layer.name == "hidden"),
        Stage("as it was", 1),
    ]
    run(student, parts, callbacks=[weights])
    assert {p.split("/")[-2] for p in moved(start, weights.of_epoch[0])} == {"hidden"}
    then = moved(weights.of_epoch[0], weights.of_epoch[1])
    assert {p.split("/")[-2] for p in then} == {"scores", "top"}
    assert flags() == before


class Scaled(keras.Model):
    """Two layers, and between them weights of the model's own."""

    def __init__(self):
        super().__init__(name="scaled")
        self.hidden = keras.layers.Dense(5, name="hidden")
        self.scores = keras.layers.Dense(3, name="scores")
        self.scale = self.add_weight(shape=(5,), initializer="ones", name="scale")
        self.shift = self.add_weight(shape=(5,), initializer="ones", name="shift")

    def call(self, inputs):
        return self.scores(self.hidden(inputs) * self.scale + self.shift)


@pytest.mark.alike
def test_weights_of_the_layers_around_stay_frozen():
    inner = Scaled()
    student = keras.Sequential([keras.Input((4,)), inner, keras.layers.Dense(3, name="top")])
    inner.shift.trainable = False
    flags = [weight.trainable for weight in student.weights]
    weights, start = Weights(), {w.path: np.array(w) for w in student.weights}
    parts = [Stage("hidden", 1, trainable="hidden"), Stage("block", 1, trainable="scaled")]
    run(student, parts, callbacks=[weights])
    first, second = weights.of_epoch.values()
    for before, after, wanted in (
        (start, first, {"hidden"}),
        (first, second, {"hidden", "scores", "scale"}),
    ):
        paths = moved(before, after)
        assert {re.sub("/(kernel|bias)$", "", path).split("/")[-1] for path in paths} == wanted
    assert [weight.trainable for weight in student.weights] == flags


@pytest.mark.alike
def test_a_folder_of_other_stages_is_refused(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(named("a"), [Stage("a", 1)], callbacks=killed("a", 0), folder=tmp_path)
    again = Stage("a", 1, trainable=lambda layer: True)  # the same by another word
    with pytest.raises(KeyboardInterrupt):
        run(named("a"), [again], callbacks=killed("a", 0), folder=tmp_path)
    others = {
        "trainings": Stage("b", 1),
        "fit=": Stage("a", 2),
        "trainable=": Stage("a", 1, trainable=lambda layer: layer.name == "hidden"),
        "compile=": Stage("a", 1, learning_rate=0.5),
        "distiller=": Stage("a", 1, alpha=0.5),
    }
    for told, stage in others.items():
        with pytest.raises(ValueError, match=f"another sequence.*Received: {told}"):
            run(named("a"), [stage], folder=tmp_path)


def unlabelled():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(X).batch(12)


WRONG = [
    (lambda: [], {}, r"stages=\[\]"),
    (lambda: ["hint"], {}, r"stages\[0\]='hint'"),
    (lambda: [Stage("a", 1), Stage("a", 1)], {}, "name= of its own"),
    (lambda: [Stage("a", 0)], {}, "epochs=0"),
    (lambda: [Stage("", 1)], {}, "name=''"),
    (lambda: [Stage("a", 1, aplha=1.0)], {}, "Did you mean 'alpha'"),
    (lambda: [Stage("a", 1, y=Y)], {}, "an `x` of its own"),
    (lambda: [Stage("a", 1, compile="adam")], {}, "compile='adam'"),
    (lambda: [Stage("a", 1), Stage("b", 1, trainable=["hiden"])], {}, "Did you mean 'hidden'"),
    (lambda: [Stage("a", 1), Stage("b", 1, trainable=[])], {}, r"trainable=\[\]"),
    (lambda: [Stage("a", 1), Stage("b", 1, trainable=3)], {}, "trainable=3"),
    (lambda: [Stage("a", 1, alpha=0.0, kd_loss=None)], {}, "nothing to learn from"),
    (lambda: [Stage("a", 1), Stage("b", 1, x=X)], {}, "stage 'b' with alpha=0.1, y=None"),
    (lambda: [Stage("a", 1), Stage("b", 1, x=unlabelled())], {}, "stage 'b'.*y=None"),
    (lambda: [Stage("a", 1), Stage("b", 1, compile={"loss": None})], {}, "alpha=0.1, loss=None"),
    (lambda: [Stage("a", 1)], {"epochs": 3}, "epochs=3"),
    (lambda: [Stage("a", 1, x=X, y=Y)], {"sample_weight": np.ones(12)}, r"\['sample_weight'\]"),
    (lambda: [Stage("a", 1, x=X, y=Y)], {"validation_split": 0.5}, r"their own: \['a'\]"),
]


@pytest.mark.alike
@pytest.mark.parametrize("parts, given, told", WRONG)
def test_what_is_wrong_is_told_before_the_first_step(parts, given, told):
    student = named("student")
    before = student.get_weights()
    with pytest.raises((TypeError, ValueError), match=told):
        run(student, parts(), **given)
    assert all(layer.trainable for layer in student.layers)
    for one, other in zip(student.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.alike
def test_without_a_teacher_the_data_carry_what_it_says():
    parts = [Stage("labels", 1, **LABELS), Stage("carried", 1, alpha=0.0)]
    student, given = named("student"), {"compile": compiled, **FIT}
    before = student.get_weights()
    with pytest.raises(ValueError, match="stage 'carried' with teacher=None, x of type ndarray"):
        stages(student, None, parts, X, Y, **given)
    np.testing.assert_array_equal(student.get_weights()[0], before[0])
    x = {"inputs": X, "teacher_outputs": inferred(teacher(), X)}
    result = stages(student, None, parts, x, Y, **given)
    assert result.histories["carried"]["kd_loss"][0] > 0


@pytest.mark.alike
def test_a_folder_keeps_no_teacher_that_moves(tmp_path):
    student = named("student")
    mean = MovingAverage(student, momentum=0.5)
    given = {"compile": compiled, **FIT}
    stages(student, mean, [Stage("a", 1), Stage("b", 1)], X, Y, **given)
    assert np.abs(mean.model.get_weights()[0] - student.get_weights()[0]).max() > 0
    folder = tmp_path / "stages"
    with pytest.raises(ValueError, match=r"moves after it.*of class MovingAverage"):
        stages(student, mean, [Stage("a", 1)], X, Y, folder=folder, **given)
    assert not folder.exists()


@pytest.mark.alike
def test_a_stage_without_data_is_told():
    with pytest.raises(ValueError, match="nothing to train on"):
        stages(named("a"), teacher(), [Stage("a", 1)], compile=compiled)
