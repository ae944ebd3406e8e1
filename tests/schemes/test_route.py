"""A student on its teacher's way."""

import keras
import numpy as np
import pytest
from models_for_tests import assert_same_weights
from sequences import FIT, X, Y, adam, compiled, killed, named

from keras_kd import Distiller
from keras_kd.callbacks import TeacherRoute
from keras_kd.schemes import route

pytestmark = pytest.mark.core

SETTINGS = {"alpha": 0.3, "temperature": 2.0}


def way():
    return [named("teacher", 9, seed=seed) for seed in (1, 2)]


@pytest.mark.alike
def test_checkpoints_teach_one_after_another():
    student, wanted = named("student"), named("student")
    result = route(
        way(), student, X, Y, epochs=[2, 1], compile=compiled(), distiller=SETTINGS, **FIT
    )
    histories = {}
    for number, (teacher, epochs) in enumerate(zip(way(), (2, 1), strict=True), 1):
        model = Distiller(wanted, teacher, **SETTINGS)
        model.compile(**compiled())
        histories[f"checkpoint_{number}"] = model.fit(X, Y, epochs=epochs, **FIT).history
    assert result.histories == histories
    assert_same_weights(student, wanted, atol=0)


@pytest.mark.alike
def test_a_folder_of_checkpoints_teaches_as_their_models_do(tmp_path):
    teacher = named("teacher", 9, seed=1)
    teacher.compile(**compiled())
    teacher.fit(X, Y, epochs=2, callbacks=[TeacherRoute(tmp_path, every=1)], **FIT)
    files = [tmp_path / "epoch_0001.keras", str(tmp_path / "epoch_0002.keras")]
    results = [
        route(given, named("student"), X, Y, epochs=3, compile=compiled, **FIT)
        for given in (tmp_path, [files[0], keras.saving.load_model(files[1])])
    ]
    assert results[0].history["training"] == ["checkpoint_1", "checkpoint_2", "checkpoint_2"]
    assert results[1].histories == results[0].histories
    assert_same_weights(results[1].student, results[0].student, atol=0)


@pytest.mark.slow
@pytest.mark.alike
def test_a_route_that_was_stopped_ends_as_one_that_was_not(tmp_path):
    given = {"epochs": [1, 2], "compile": adam, **FIT}
    whole = route(way(), named("student", dropout=0.5), X, Y, **given)
    given["folder"] = tmp_path
    with pytest.raises(KeyboardInterrupt):
        student = named("student", dropout=0.5)
        route(way(), student, X, Y, callbacks=killed("checkpoint_2", 2), **given)
    result = route(way(), named("student", dropout=0.5), X, Y, **given)
    assert_same_weights(result.student, whole.student, atol=1e-6)
    np.testing.assert_allclose(result.history["loss"], whole.history["loss"], rtol=1e-5)
    with pytest.raises(ValueError, match=r"another sequence.*Received: teacher="):
        route(way()[::-1], named("student", dropout=0.5), X, Y, **given)


@pytest.mark.alike
@pytest.mark.parametrize(
    "change, told",
    [
        ({"checkpoints": []}, r"checkpoints=\[\]"),
        ({"checkpoints": ["missing.keras"]}, r"checkpoints\[0\]='missing.keras'"),
        ({"checkpoints": "missing"}, "checkpoints='missing'"),
        ({"checkpoints": [named("wide", classes=4)]}, "outputs of one shape"),
        ({"epochs": 1}, "epochs=1"),
        ({"epochs": [1]}, r"epochs=\[1\]"),
        ({"epochs": [1, 0]}, "epochs=0"),
        ({"student": "student.keras"}, "student='student.keras'"),
    ],
)
def test_what_is_wrong_is_told_before_the_first_step(change, told):
    given = {"checkpoints": way(), "student": named("student"), "epochs": 2, **change}
    with pytest.raises((TypeError, ValueError), match=told):
        route(x=X, y=Y, compile=compiled, **given, **FIT)
