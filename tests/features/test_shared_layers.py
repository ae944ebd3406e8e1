"""Layers that several models of one file hold are what they were when it is loaded."""

import keras
import numpy as np
import pytest
from keras import layers
from models_for_tests import EAGER, cross_entropy, sgd

from keras_kd import Distiller
from keras_kd.teachers import Ensemble

of_strings = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="models of strings are TensorFlow's"
)
TEXTS = np.array([["a b"], ["c d"], ["e f"], ["a"]])
LABELS = np.array([0, 1, 2, 0])


def cutter():
    cut = layers.TextVectorization(20, output_sequence_length=4)
    cut.adapt(["a b c", "d e f"])
    return cut


def text_model(cut, width, name, way):
    """A model that begins with a given `TextVectorization`."""
    rest = [layers.Embedding(20, width), layers.GlobalAveragePooling1D(), layers.Dense(3)]
    inputs = keras.Input((1,), dtype="string")
    if way == "sequential":
        return keras.Sequential([inputs, cut, *rest], name=name)
    x = cut(inputs)
    for layer in rest:
        x = layer(x)
    return keras.Model(inputs, x, name=name)


@of_strings
@pytest.mark.parametrize("way", ["functional", "sequential"])
def test_student_and_teacher_of_one_vocabulary_come_from_a_file(way, tmp_path):
    tf = pytest.importorskip("tensorflow")
    cut = cutter()
    model = Distiller(text_model(cut, 4, "student", way), text_model(cut, 8, "teacher", way))
    model.compile(sgd(0.0), cross_entropy(), **EAGER)
    data = tf.data.Dataset.from_tensor_slices((TEXTS, LABELS)).batch(4)
    logs = model.fit(data, verbose=0).history
    model.save(tmp_path / "distiller.keras")
    loaded = keras.models.load_model(tmp_path / "distiller.keras")
    assert loaded.fit(data, verbose=0).history == {
        name: pytest.approx(value, rel=1e-5, abs=1e-7) for name, value in logs.items()
    }
    for one in (loaded.student, loaded.teacher):
        assert one.layers[-4].get_vocabulary() == cut.get_vocabulary()


def two_heads():
    """Two models on one body."""
    inputs = keras.Input((4,))
    body = layers.Dense(5, name="body")(inputs)
    return [keras.Model(inputs, layers.Dense(3)(body), name=name) for name in ("one", "two")]


@pytest.mark.core
@pytest.mark.alike
@pytest.mark.parametrize("models", [two_heads, lambda: two_heads()[:1] * 2], ids=["body", "model"])
def test_an_ensemble_of_members_with_a_common_part_comes_from_a_file(models, tmp_path):
    ensemble = Ensemble(models(), from_logits=True)
    x = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    before = keras.ops.convert_to_numpy(ensemble(x))
    ensemble.save(tmp_path / "ensemble.keras")
    loaded = keras.models.load_model(tmp_path / "ensemble.keras")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(loaded(x)), before, atol=1e-6)
    # From now on they are layers as any: what one is given, the other is not.
    first, second = (model.get_layer("body") for model in loaded.models)
    kept = keras.ops.convert_to_numpy(second.kernel)
    loaded.models[0].save_weights(tmp_path / "one.weights.h5")
    first.kernel.assign(first.kernel + 1.0)
    loaded.models[0].load_weights(tmp_path / "one.weights.h5")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(first.kernel), kept, atol=1e-6)
    assert not {"load_assets", "load_own_variables"} & {*vars(first), *vars(second)}


@of_strings
def test_two_layers_of_one_name_of_which_one_is_shared_are_told():
    cut = cutter()
    student, teacher = (text_model(cut, 4, name, "sequential") for name in ("student", "teacher"))
    other = cutter()
    other.name = cut.name
    teacher = keras.Sequential([keras.Input((1,), dtype="string"), teacher], name="outer")
    teacher.other = other
    with pytest.raises(ValueError, match=r"two have one: rename.*'text_vectorization"):
        Distiller(student, teacher).get_config()
