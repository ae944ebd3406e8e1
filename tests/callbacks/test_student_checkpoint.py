import errno
import stat

import keras
import numpy as np
import pytest
from models_for_tests import inferred
from tiny import data, distiller, shared, weights

from keras_kd.callbacks import StudentCheckpoint

pytestmark = pytest.mark.core

X, Y = data()


def test_the_file_holds_the_student_and_nothing_else(tmp_path):
    path, model = tmp_path / "student.keras", shared()
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[StudentCheckpoint(path)])
    loaded = keras.saving.load_model(path)
    assert [v.shape for v in loaded.weights] == [v.shape for v in model.student.weights]
    for a, b in zip(weights(loaded), weights(model.student), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_best_epoch_by_a_validation_metric_is_kept(tmp_path):
    path, model = tmp_path / "best.keras", shared()
    checkpoint = StudentCheckpoint(path, monitor="val_accuracy", save_best_only=True)
    history = model.fit(
        X, Y, epochs=6, verbose=0, validation_data=(X, Y), callbacks=[checkpoint]
    ).history
    predicted = inferred(keras.saving.load_model(path), X).argmax(-1)
    assert np.isclose(np.mean(predicted == Y), max(history["val_accuracy"]))


def test_weights_alone_load_into_a_student(tmp_path):
    path, model = tmp_path / "{epoch}.weights.h5", shared()
    model.fit(
        X, Y, epochs=1, verbose=0, callbacks=[StudentCheckpoint(path, save_weights_only=True)]
    )
    other = distiller().student
    other.load_weights(tmp_path / "1.weights.h5")
    for a, b in zip(weights(other), weights(model.student), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_checkpoint_in_the_middle_of_an_epoch_has_the_weights_of_that_batch(tmp_path):
    path, model = tmp_path / "student.keras", shared()
    model.fit(
        X,
        Y,
        batch_size=8,
        verbose=0,
        shuffle=False,
        callbacks=[StudentCheckpoint(path, save_freq=2)],
    )
    # The last save of four batches is after the fourth; of two, after the second.
    for a, b in zip(weights(keras.saving.load_model(path)), weights(model.student), strict=True):
        np.testing.assert_array_equal(a, b)
    halfway = shared()
    halfway.fit(X[:16], Y[:16], batch_size=8, verbose=0, shuffle=False)
    expected = weights(halfway.student)
    model = shared()
    model.fit(
        X[:24],
        Y[:24],
        batch_size=8,
        verbose=0,
        shuffle=False,
        callbacks=[StudentCheckpoint(path, save_freq=2)],
    )
    for a, b in zip(weights(keras.saving.load_model(path)), expected, strict=True):
        np.testing.assert_array_equal(a, b)


class Half:
    """Writes half a file, and dies."""

    def __init__(self, content):
        self.content = content

    def __call__(self, path, *_, **__):
        with open(path, "wb") as file:
            file.write(self.content[: len(self.content) // 2])
        raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["best.keras", "best.weights.h5"])
def test_the_file_before_stays_until_the_next_is_whole(tmp_path, monkeypatch, name):
    path, model = tmp_path / name, shared()
    only = name.endswith(".h5")
    checkpoint = StudentCheckpoint(path, save_weights_only=only)
    model.fit(X, Y, epochs=1, verbose=0, callbacks=[checkpoint])
    before = path.read_bytes()
    half = Half(before)
    monkeypatch.setattr(model.student, "save_weights" if only else "save", half, raising=True)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=1, verbose=0, callbacks=[checkpoint])
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_disk_that_takes_no_more_is_an_error_in_words(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    path, model = tmp_path / "best.keras", shared()
    model.student.save(path)
    before = path.read_bytes()
    monkeypatch.setattr(model.student, "save", full, raising=True)
    with pytest.raises(OSError, match=r"Nothing could be written there.*No space left"):
        model.fit(X, Y, epochs=1, verbose=0, callbacks=[StudentCheckpoint(path)])
    assert path.read_bytes() == before


def test_a_distiller_keeps_its_file_until_the_next_is_whole(tmp_path, monkeypatch):
    path, model = tmp_path / "all.keras", distiller()
    model.save(path)
    before = path.read_bytes()
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(keras.Model, "save", lambda self, path, *_, **__: Half(before)(path))
        model.save(path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1
    path.chmod(0o600)
    link = tmp_path / "link.keras"
    link.symlink_to(path)
    model.save(link, overwrite=True)
    keras.saving.load_model(path)
    assert link.is_symlink() and stat.S_IMODE(path.stat().st_mode) == 0o600  # both as they were
