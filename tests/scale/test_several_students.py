"""Students that one step trains, beside each of them alone."""

import keras
import numpy as np
import pytest
from keras import layers
from models_for_tests import EAGER

from keras_kd import Distiller
from keras_kd.losses import FitNetLoss, KDLoss
from keras_kd.scale import SeveralStudents
from keras_kd.teachers import PerOutput

pytestmark = pytest.mark.core

TEMPERATURES = {"warm": 4.0, "cool": 1.0}  # not in the order in which Keras flattens them
RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 4)).astype("float32")
Y = RNG.integers(0, 3, 24)
WEIGHTS = RNG.uniform(0.5, 2.0, 24).astype("float32")
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def net(name, width=5, seed=1):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    hidden = layers.Dense(width, "tanh", name="hidden")(inputs)
    hidden = layers.BatchNormalization(name="norm")(hidden)
    return keras.Model(inputs, layers.Dense(3, name="scores")(hidden), name=name)


TEACHER = net("teacher", 9, seed=7)


def carried():
    scores = np.asarray(keras.ops.convert_to_numpy(TEACHER(X, training=False)))
    hidden = keras.Model(TEACHER.input, TEACHER.get_layer("hidden").output)(X)
    features = {"hidden": keras.ops.convert_to_numpy(hidden)}
    return {"inputs": X, "teacher_outputs": scores, "teacher_features": features}


def hint(path, name="hint"):
    return FitNetLoss(layers={path: "hidden"}, weight=0.5, name=name)


def fitted(model, x, y, weights=None):
    metrics = ["accuracy"]
    if isinstance(y, dict):
        metrics = dict.fromkeys(y, metrics)
    model.compile(keras.optimizers.Adam(0.01), LOSS, weighted_metrics=metrics, **EAGER)
    told = {"batch_size": 8, "epochs": 2, "shuffle": False, "verbose": 0}
    return model.fit(x, y, sample_weight=weights, validation_data=(x, y), **told).history


def students():
    return [net(name, 9, seed) for seed, name in enumerate(TEMPERATURES)]


def losses():
    return {name: KDLoss(temperature) for name, temperature in TEMPERATURES.items()}


@pytest.fixture(scope="module")
def trained():
    """Both in one step, and each alone: models and histories."""
    both = SeveralStudents(students())
    together = Distiller(both, alpha=0.3, kd_loss=losses(), feature_losses=[hint("warm/hidden")])
    history = fitted(together, *both.for_each(carried(), Y, WEIGHTS))
    alone = {}
    for student in students():
        hints = [hint("hidden")] if student.name == "warm" else []
        temperature = TEMPERATURES[student.name]
        model = Distiller(student, alpha=0.3, temperature=temperature, feature_losses=hints)
        alone[student.name] = student, fitted(model, carried(), Y, WEIGHTS)
    return together, both, history, alone


@pytest.mark.parametrize("name", TEMPERATURES)
def test_each_is_the_student_that_it_is_alone(trained, name):
    _, both, history, alone = trained
    student, told = alone[name]
    (mine,) = [each for each in both.students if each.name == name]
    for weight, expected in zip(mine.get_weights(), student.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=0, atol=2e-5)
    for phase in ("", "val_"):
        found = history[f"{phase}{name}_loss"]
        np.testing.assert_allclose(found, told[f"{phase}student_loss"], rtol=1e-4)
        found = history[f"{phase}{name}_accuracy"]
        np.testing.assert_allclose(found, told[f"{phase}accuracy"], rtol=1e-5)


def test_the_losses_are_the_sums(trained):
    _, _, history, alone = trained
    for log in ("loss", "kd_loss"):
        total = np.sum([told[log] for _, told in alone.values()], axis=0)
        np.testing.assert_allclose(history[log], total, rtol=1e-4)


@pytest.mark.alike
def test_it_is_saved_and_goes_on(trained, tmp_path):
    together, both, _, _ = trained
    together.save(tmp_path / "both.keras")
    again = keras.saving.load_model(tmp_path / "both.keras")
    again.run_eagerly = EAGER["run_eagerly"]
    assert [each.name for each in again.student.students] == list(TEMPERATURES)
    x, y = both.for_each(carried(), Y)
    told = {"batch_size": 8, "shuffle": False, "verbose": 0}
    histories = [model.fit(x, y, **told).history for model in (together, again)]
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-5)


@pytest.mark.alike
def test_a_live_teacher_of_all():
    runs = []
    for teacher, x in ((PerOutput(dict.fromkeys(TEMPERATURES, TEACHER)), X), (None, carried())):
        both = SeveralStudents(students())
        model = Distiller(both, teacher, kd_loss=losses())
        model.compile(keras.optimizers.Adam(0.01), LOSS, **EAGER)
        told = {"batch_size": 8, "epochs": 2, "shuffle": False, "verbose": 0}
        runs.append(model.fit(*both.for_each(x, Y), **told).history["loss"])
    np.testing.assert_allclose(*runs, rtol=1e-4)


def test_labels_that_did_not_go_through_for_each_are_refused_in_words():
    model = Distiller(SeveralStudents(students()), alpha=0.3, kd_loss=losses())
    model.compile("sgd", LOSS, **EAGER)
    with pytest.raises(ValueError, match=r"\['cool', 'warm'\].*for_each.*Received: y of .*8"):
        model.fit(carried(), Y, batch_size=8, verbose=0)


def test_for_each_takes_what_a_data_set_yields():
    both = SeveralStudents(students())
    assert both.for_each(X) is X
    assert both.for_each({"inputs": 1}) == {"inputs": 1}
    x, y = both.for_each({"inputs": 1, "teacher_outputs": 2}, 3)
    assert x == {"inputs": 1, "teacher_outputs": {"cool": 2, "warm": 2}}
    assert y == {"cool": 3, "warm": 3}
    assert both.for_each(1, 2, 3)[2] == {"cool": 3, "warm": 3}


def two_outputs():
    inputs = keras.Input((4,))
    return keras.Model(inputs, [layers.Dense(2)(inputs), layers.Dense(3)(inputs)], name="two")


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ([], TypeError, "list of keras.Models"),
        ("small", TypeError, "list of keras.Models"),
        ([net("a"), 3], TypeError, r"students\[1\]=3"),
        ([net("a"), net("a")], ValueError, r"must differ.*\['a', 'a'\]"),
        ([keras.Sequential([layers.Dense(1)])], ValueError, "not built"),
        ([net("a"), two_outputs()], ValueError, r"one output.*students\[1\]='two'"),
        (
            [net("a"), keras.Sequential([keras.Input((9,)), layers.Dense(3)], name="b")],
            ValueError,
            "want it otherwise",
        ),
    ],
)
def test_what_cannot_be_trained_together_is_refused(given, error, words):
    with pytest.raises(error, match=words):
        SeveralStudents(given)
