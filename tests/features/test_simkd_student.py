import zipfile

import keras
import numpy as np
import pytest
from keras import layers, ops
from models_for_tests import EAGER, assert_same_weights, cross_entropy, inferred
from networks import adaptive_average
from variants import first_of

import keras_kd
from keras_kd import Distiller
from keras_kd.features import Tap, student_with_teacher_classifier
from keras_kd.losses import FitNetLoss, SimKDLoss

pytestmark = pytest.mark.core


def cnn(width, name, seed=0, strides=2):
    keras.utils.set_random_seed(seed)
    x = inputs = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(width, 3, padding="same", name="first")(x)
    x = layers.Conv2D(width, 3, strides=strides, padding="same", activation="relu", name="top")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(3, name="scores")(x), name=name)


def images(count=16):
    rng = np.random.default_rng(0)
    return rng.random((count, 8, 8, 1)).astype("float32")


def distiller(student, teacher, layers=None, **kwargs):
    loss = SimKDLoss(layers=layers or {"top": "top"}, **kwargs)
    return Distiller(student, teacher, alpha=0.0, kd_loss=None, feature_losses=[loss])


def trained(student, teacher, x=None, **kwargs):
    model = distiller(student, teacher, **kwargs)
    model.compile(keras.optimizers.Adam(1e-2), **EAGER)
    model.fit(images() if x is None else x, batch_size=8, epochs=1, verbose=0)
    return model


def value(model, layer, x):
    return keras.Model(model.input, model.get_layer(layer).output)(x, training=False)


def test_it_answers_as_the_three_would_one_after_the_other(tmp_path):
    student, teacher = cnn(3, "student"), cnn(6, "teacher", seed=1)
    before = [np.copy(w) for w in teacher.get_weights()]
    model = trained(student, teacher)
    made = student_with_teacher_classifier(model)
    x = images()
    (part,) = model.feature_terms[0].parts
    features = part(value(student, "top", x), training=False)
    pooled = ops.convert_to_numpy(features).mean(axis=(1, 2))
    expected = teacher.get_layer("scores")(pooled)
    predicted = inferred(made, x)
    np.testing.assert_allclose(predicted, ops.convert_to_numpy(expected), atol=1e-5)
    assert made.input.name == "image"
    # Nothing was done to the teacher, and nothing of it that is not needed is carried.
    for weight, was in zip(teacher.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, was)
    assert teacher.get_layer("top").output is not None  # its graph is as it was
    path = tmp_path / "made.keras"
    made.save(path)
    assert '"first"' in (text := zipfile.ZipFile(path).read("config.json").decode())
    assert text.count('"Conv2D"') == 2 + 3  # the student's and the projector's
    loaded = keras.saving.load_model(path)
    assert_same_weights(loaded, made, atol=0.0)
    np.testing.assert_allclose(inferred(loaded, x), predicted, atol=1e-6)


@pytest.mark.slow
@pytest.mark.alike
def test_it_is_trained_apart_from_student_and_teacher():
    student, teacher = cnn(3, "student"), cnn(6, "teacher", seed=1)
    model = trained(student, teacher)
    made = student_with_teacher_classifier(model)
    ids = {id(w) for w in made.weights}
    assert not ids & {id(w) for w in [*student.weights, *teacher.weights, *model.weights]}
    kept = [np.copy(w) for w in [*student.get_weights(), *teacher.get_weights()]]
    made.compile(keras.optimizers.SGD(0.1), cross_entropy(), jit_compile=False)
    made.fit(images(), np.arange(16) % 3, verbose=0)
    now = [*student.get_weights(), *teacher.get_weights()]
    assert all(np.array_equal(a, b) for a, b in zip(now, kept, strict=True))


@pytest.mark.slow
def test_it_is_exported(tmp_path):
    model = distiller(cnn(3, "student"), cnn(6, "teacher", seed=1))
    made = student_with_teacher_classifier(model)
    # As a SavedModel where there is TensorFlow to write it.
    name = "made" if keras.backend.backend() == "tensorflow" else "made.keras"
    result = keras_kd.export_student(made, tmp_path / name, verify_data=images())
    assert result.agreement == 1.0


@pytest.mark.alike
@first_of(("ours", "theirs"), [(1, 2), (2, 1), (2, 3)])
def test_the_larger_of_two_resolutions_was_averaged(ours, theirs, tmp_path):
    # Maps of 8, 4 or 3 pixels: whole blocks, a classifier on a smaller map, windows of 4 to 3.
    student = cnn(3, "student", strides=ours)
    teacher = cnn(6, "teacher", seed=1, strides=theirs)
    model = distiller(student, teacher)
    made = student_with_teacher_classifier(model)
    x = images(4)
    size = -(-8 // max(ours, theirs))
    features = adaptive_average(ops.convert_to_numpy(value(student, "top", x)), (size, size))
    (part,) = model.feature_terms[0].parts
    pooled = ops.convert_to_numpy(part(features, training=False)).mean(axis=(1, 2))
    expected = ops.convert_to_numpy(teacher.get_layer("scores")(pooled))
    np.testing.assert_allclose(inferred(made, x), expected, atol=1e-5)
    made.save(tmp_path / "made.keras")
    loaded = keras.saving.load_model(tmp_path / "made.keras")
    np.testing.assert_allclose(inferred(loaded, x), expected, atol=1e-5)


@pytest.mark.alike
def test_a_classifier_that_knows_its_resolution_is_said_to():
    def flat(width, name, strides):
        x = inputs = keras.Input((8, 8, 1))
        x = layers.Conv2D(width, 3, strides=strides, padding="same", name="top")(x)
        return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)), name=name)

    model = distiller(flat(2, "student", 2), flat(4, "teacher", 1))
    with pytest.raises(ValueError, match=r"does not take .* Received: \(None, 4, 4, 4\)"):
        student_with_teacher_classifier(model)


@pytest.mark.alike
def test_sequential_models_and_nested_backbones_and_inputs_of_layers():
    def net(width, name):
        backbone = keras.Sequential(
            [keras.Input((4,)), layers.Dense(width, "relu", name="inner")], name="backbone"
        )
        return keras.Sequential([keras.Input((4,)), backbone, layers.Dense(3, name="scores")])

    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    student, teacher = net(2, "student"), net(8, "teacher")
    for taps in ({"backbone": "backbone"}, {"backbone": Tap("scores", side="input")}):
        model = distiller(student, teacher, layers=taps)
        made = student_with_teacher_classifier(model)
        (part,) = model.feature_terms[0].parts
        expected = teacher.get_layer("scores")(part(student.get_layer("backbone")(x)))
        predicted = inferred(made, x)
        np.testing.assert_allclose(predicted, ops.convert_to_numpy(expected), atol=1e-5)
    model = distiller(student, teacher, layers={"inner": "inner"})
    with pytest.raises(ValueError, match=r"not of one inside a nested model.*layer='inner'"):
        student_with_teacher_classifier(model)


def reader(width, seed, name, mask_zero=False):
    keras.utils.set_random_seed(seed)
    words, extra = keras.Input((5,), dtype="int32", name="w"), keras.Input((2,), name="e")
    x = layers.Embedding(9, width, mask_zero=mask_zero)(words)
    start = layers.Dense(width)(extra)
    x = layers.GRU(width, return_sequences=True, name="top")(x, initial_state=start)
    outputs = {"scores": layers.Dense(3, name="head")(layers.GlobalAveragePooling1D()(x))}
    return keras.Model({"w": words, "e": extra}, outputs, name=name)


@pytest.mark.alike
def test_the_students_inputs_and_the_teachers_outputs_keep_their_structure():
    rng = np.random.default_rng(0)
    x = {"w": rng.integers(1, 9, (4, 5)), "e": rng.normal(size=(4, 2)).astype("float32")}
    model = trained(reader(3, 0, "student"), reader(6, 1, "teacher"), x=x)
    made = student_with_teacher_classifier(model)
    assert set(made.input) == {"w", "e"}
    (part,) = model.feature_terms[0].parts
    features = ops.convert_to_numpy(part(value(model.student, "top", x), training=False))
    expected = model.teacher.get_layer("head")(features.mean(axis=1))
    predicted = inferred(made, x)["scores"]
    np.testing.assert_allclose(predicted, ops.convert_to_numpy(expected), atol=1e-5)


@pytest.mark.alike
def test_a_mask_that_the_classifier_needs_is_a_path_around_the_tap():
    model = distiller(reader(3, 0, "student"), reader(6, 1, "teacher", mask_zero=True))
    with pytest.raises(ValueError, match=r"other paths \(a mask is one, too\).*'top'"):
        student_with_teacher_classifier(model)


@pytest.mark.alike
def test_what_cannot_be_cut_is_said_to_be_so():
    student, teacher = cnn(3, "student"), cnn(6, "teacher", seed=1)
    model = distiller(student, teacher)
    with pytest.raises(ValueError, match=r"Received: loss_name='sim_kd'.*Available: \['sim_kd_l"):
        student_with_teacher_classifier(model, "sim_kd")
    other = Distiller(student, teacher, feature_losses=[FitNetLoss(layers={"top": "top"})])
    with pytest.raises(ValueError, match=r"SimKDLoss of one pair.*Received: FitNetLoss"):
        student_with_teacher_classifier(other, "fit_net_loss")
    pairs = distiller(student, teacher, layers={"top": "top", "pool": "pool"})
    with pytest.raises(ValueError, match=r"SimKDLoss of one pair.*'pool'"):
        student_with_teacher_classifier(pairs)


@pytest.mark.alike
def test_a_path_around_the_tap_is_said_to_be_there():
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="top")(inputs)
    x = layers.GlobalAveragePooling2D()(layers.Concatenate()([x, inputs]))
    around = keras.Model(inputs, layers.Dense(3)(x), name="around")
    with pytest.raises(ValueError, match=r"teacher cannot be cut there.*'top'"):
        student_with_teacher_classifier(distiller(cnn(3, "student"), around))


@keras.saving.register_keras_serializable(package="simkd")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.top = layers.Dense(3, name="top")

    def call(self, x):
        return self.top(x)


@pytest.mark.alike
def test_a_subclassed_model_cannot_be_cut():
    student, teacher = Subclassed(name="one"), Subclassed(name="other")
    for model in (student, teacher):
        model(np.ones((1, 4)))
    with pytest.raises(ValueError, match=r"Only Functional and Sequential.*class Subclassed"):
        student_with_teacher_classifier(distiller(student, teacher))
