"""Files and copies have the teacher that was trained, or say that they have not."""

import keras
import numpy as np
import pytest
from models_for_tests import distiller, examples, inferred, net, numbers

from keras_kd import Distiller

pytestmark = pytest.mark.core

X, Y = examples()
LOST = "was made from a config, so it has new weights"


@pytest.fixture(scope="module")
def model():
    made = distiller(net(), net(8, seed=1))
    made.fit(X, Y, verbose=0)
    return made


def test_h5_is_refused_before_anything_is_written(model, tmp_path):
    kept = tmp_path / "best.h5"
    kept.write_bytes(b"another file")
    with pytest.raises(ValueError, match=r"cannot be saved as \.h5.*\.keras"):
        model.save(kept)
    assert kept.read_bytes() == b"another file"
    with pytest.raises(ValueError, match=r"cannot be saved as \.h5"):
        checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "best.h5")
        model.fit(X, Y, callbacks=[checkpoint], verbose=0)


def test_keras_files_and_weights_keep_the_teacher(model, tmp_path):
    model.save(tmp_path / "d.keras")
    model.save_weights(tmp_path / "d.weights.h5")
    whole = keras.saving.load_model(tmp_path / "d.keras")
    again = Distiller.from_config(model.get_config())
    again.load_weights(tmp_path / "d.weights.h5")
    again.compile("sgd", model.loss)
    for found in (whole, again):
        for one, other in zip(numbers(found.teacher), numbers(model.teacher), strict=True):
            np.testing.assert_array_equal(one, other)
        found.fit(X, Y, verbose=0)


@pytest.mark.parametrize("how", ["clone_model", "from_config", "keras.saving.save_model"])
def test_a_teacher_without_its_weights_teaches_nobody(model, tmp_path, how):
    if how == "clone_model":
        copy = keras.models.clone_model(model)
    elif how == "from_config":
        copy = Distiller.from_config(model.get_config())
    else:
        keras.saving.save_model(model, tmp_path / "d.h5")
        # Keras' old format does not find registered classes by itself.
        scope = {"Distiller": Distiller}
        copy = keras.saving.load_model(tmp_path / "d.h5", custom_objects=scope)
    copy.compile("sgd", model.loss)
    with pytest.raises(ValueError, match=LOST):
        copy.fit(X, Y, verbose=0)
    with pytest.raises(ValueError, match=LOST):
        copy.train_on_batch(X, Y)
    copy.teacher.set_weights(model.teacher.get_weights())
    copy.fit(X, Y, verbose=0)


def test_models_that_share_a_frozen_layer_say_what_keeps_them(tmp_path):
    stem = keras.layers.Dense(6, name="stem", trainable=False)

    def on_stem(width):
        inputs = keras.Input((4,))
        return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Dense(width)(stem(inputs))))

    def shared():
        return distiller(on_stem(3), on_stem(5))

    model = shared()
    model.fit(X, Y, verbose=0)
    with pytest.raises(ValueError, match=r"share weights.*weights\.h5.*stem/kernel"):
        model.save(tmp_path / "d.keras")
    model.save_weights(tmp_path / "d.weights.h5")
    other = shared()
    other.load_weights(tmp_path / "d.weights.h5")
    for one, two in zip(numbers(other.teacher), numbers(model.teacher), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras exports to other formats there"
)
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="it runs what was exported")
def test_export_exports_the_student(model, tmp_path):
    model.export(tmp_path / "saved", verbose=False)
    found = keras.layers.TFSMLayer(tmp_path / "saved", call_endpoint="serve")(X)
    np.testing.assert_allclose(np.asarray(found), inferred(model.student, X), rtol=1e-5, atol=1e-6)
