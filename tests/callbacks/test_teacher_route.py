"""A teacher's way to where it ends."""

import keras
import numpy as np
import pytest
from models_for_tests import (
    EAGER,
    assert_same_weights,
    cross_entropy,
    distiller,
    examples,
    net,
    sgd,
)

from keras_kd.callbacks import TeacherRoute

pytestmark = pytest.mark.core

X, Y = examples(12)
FIT = {"batch_size": 12, "shuffle": False, "verbose": 0}


def teacher():
    model = net(7)
    model.compile(sgd(), cross_entropy(), **EAGER)
    return model


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_it_saves_after_the_epochs_that_were_asked_for(tmp_path):
    model, after_two = teacher(), teacher()
    model.fit(X, Y, epochs=4, callbacks=[TeacherRoute(tmp_path, epochs=[2, 4])], **FIT)
    assert names(tmp_path) == ["epoch_0002.keras", "epoch_0004.keras"]
    after_two.fit(X, Y, epochs=2, **FIT)
    for file, wanted in (("epoch_0002.keras", after_two), ("epoch_0004.keras", model)):
        assert_same_weights(keras.saving.load_model(tmp_path / file), wanted)


@pytest.mark.alike
def test_it_saves_after_every_so_many_and_at_the_end(tmp_path):
    callback = TeacherRoute(tmp_path / "route", every=2)
    teacher().fit(X, Y, epochs=5, callbacks=[callback], **FIT)
    assert names(tmp_path / "route") == [f"epoch_000{n}.keras" for n in (2, 4, 5)]


@pytest.mark.alike
def test_of_a_distiller_it_saves_the_student(tmp_path):
    model = distiller(net(), net(7))
    model.fit(X, Y, callbacks=[TeacherRoute(tmp_path, every=1)], **FIT)
    saved = keras.saving.load_model(tmp_path / "epoch_0001.keras")
    for one, other in zip(saved.get_weights(), model.student.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.alike
def test_another_teachers_files_are_not_mixed_in_but_a_resumed_one_goes_on(tmp_path):
    callback = TeacherRoute(tmp_path, every=1)
    teacher().fit(X, Y, epochs=3, callbacks=[callback], **FIT)
    with pytest.raises(ValueError, match=r"later epochs.*epoch_0002.keras"):
        teacher().fit(X, Y, epochs=1, callbacks=[callback], **FIT)
    teacher().fit(X, Y, epochs=4, initial_epoch=3, callbacks=[callback], **FIT)
    assert len(names(tmp_path)) == 4


@pytest.mark.alike
@pytest.mark.parametrize(
    "given, told",
    [
        ({}, "epochs=None, every=None"),
        ({"epochs": [1], "every": 2}, r"epochs=\[1\], every=2"),
        ({"epochs": []}, r"epochs=\[\]"),
        ({"epochs": [0]}, "epochs=0"),
        ({"every": 0}, "every=0"),
        ({"every": 1, "folder": 3}, "folder=3"),
    ],
)
def test_what_is_wrong_is_told(given, told):
    with pytest.raises((TypeError, ValueError), match=told):
        TeacherRoute(**{"folder": "route", **given})
