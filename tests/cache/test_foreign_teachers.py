"""Teachers that are no Keras models in memory: a SavedModel, a `.tflite` file, a function."""

import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from caching import outputs, predicted
from carrying import assert_same_run
from models_for_tests import EAGER, distiller, examples, net
from variants import first_of

from keras_kd import Distiller, TeacherCache, export_student
from keras_kd.losses import FitNetLoss, KDLoss
from keras_kd.teachers import TFLiteTeacher

X, Y = examples(12)
DATA = tf.data.Dataset.from_tensor_slices((X, Y))


@pytest.fixture(scope="module")
def teacher():
    return net(9, seed=4)


@pytest.fixture(scope="module")
def saved(teacher, tmp_path_factory):
    """The teacher as a SavedModel."""
    folder = tmp_path_factory.mktemp("saved") / "teacher"
    teacher.export(folder, verbose=False)
    return folder


def from_saved(folder, endpoint="serve"):
    layer = keras.layers.TFSMLayer(str(folder), call_endpoint=endpoint)
    return keras.Sequential([keras.Input((4,)), layer])


def by_hand(teacher):
    """What the net computes, in NumPy."""
    kernel, bias, scores, shift = teacher.get_weights()
    return lambda x: np.tanh(x @ kernel + bias) @ scores + shift


def fitted(data, teacher=None, **kwargs):
    """A student's Distiller after two epochs, and its history."""
    model = distiller(net(seed=7), teacher, compiled=EAGER, **kwargs)
    batches = data.batch(4)
    return model, model.fit(batches, epochs=2, verbose=0).history


@pytest.fixture(scope="module")
def taught(teacher):
    """What a student becomes beside the model itself."""
    return fitted(DATA, teacher)


@first_of("kind", ["SavedModel", "tflite", "function"])
def test_a_student_learns_through_the_cache_as_beside_the_model(
    tmp_path, teacher, saved, taught, kind
):
    if kind == "tflite":
        export_student(teacher, tmp_path / "teacher.tflite")
        foreign = TFLiteTeacher(tmp_path / "teacher.tflite")
    else:
        foreign = from_saved(saved) if kind == "SavedModel" else by_hand(teacher)
    train = TeacherCache(tmp_path / "cache", foreign, dtype="float32").label((X, Y), batch_size=5)
    np.testing.assert_allclose(outputs(train), predicted(teacher, X), rtol=1e-5, atol=1e-6)
    (live, expected), (told, history) = taught, fitted(train)
    assert_same_run(live, told, expected, history, atol=1e-5)


@pytest.mark.parametrize("endpoint", ["serve", "serving_default"])
def test_a_saved_model_teaches_beside_the_student(teacher, saved, taught, endpoint):
    logits = KDLoss(teacher_from_logits=True)
    foreign = from_saved(saved, endpoint)
    (live, expected), (model, history) = taught, fitted(DATA, foreign, kd_loss=logits)
    assert_same_run(live, model, expected, history, atol=1e-5)
    (answers,) = keras.tree.flatten(predicted(foreign, X))  # a signature gives a dict
    np.testing.assert_allclose(answers, predicted(teacher, X), atol=1e-6)  # it was not trained


def test_what_a_saved_model_returns_must_be_declared(saved):
    with pytest.raises(ValueError, match=r"whether the teacher returns.*teacher_from_logits=True"):
        Distiller(net(), from_saved(saved))


def test_a_saved_model_is_known_by_its_files_wherever_they_are(tmp_path, teacher, saved):
    TeacherCache(tmp_path / "cache", from_saved(saved)).label(X)
    shutil.copytree(saved, tmp_path / "moved")
    TeacherCache(tmp_path / "cache", from_saved(tmp_path / "moved")).label(X)
    other = net(9, seed=4)
    other.layers[-1].bias.assign([0.0, 1e-4, 0.0])  # less than answers could show
    other.export(tmp_path / "other", verbose=False)
    with pytest.raises(ValueError, match="another teacher, in its config, its weights or its file"):
        TeacherCache(tmp_path / "cache", from_saved(tmp_path / "other")).label(X)
    relu = keras.models.clone_model(teacher)
    relu.layers[1].activation = keras.activations.relu
    relu.set_weights(teacher.get_weights())
    relu.export(tmp_path / "relu", verbose=False)  # the same weights in another graph
    with pytest.raises(ValueError, match="another teacher"):
        TeacherCache(tmp_path / "cache", from_saved(tmp_path / "relu")).label(X)


def test_a_saved_model_that_is_gone_cannot_be_known(tmp_path, saved):
    shutil.copytree(saved, tmp_path / "moved")
    teacher = from_saved(tmp_path / "moved")
    shutil.rmtree(tmp_path / "moved")
    with pytest.raises(FileNotFoundError, match=r"must still be there.*moved', no folder"):
        TeacherCache(tmp_path / "cache", teacher).label(X)


def test_a_tflite_file_is_known_by_its_content(tmp_path, teacher):
    file, other = tmp_path / "teacher.tflite", net(9, seed=4)
    export_student(teacher, file)
    TeacherCache(tmp_path / "cache", TFLiteTeacher(file)).label(X)
    shutil.copy(file, tmp_path / "again.tflite")
    TeacherCache(tmp_path / "cache", TFLiteTeacher(tmp_path / "again.tflite")).label(X)
    other.layers[-1].bias.assign([0.0, 1e-4, 0.0])  # less than answers could show
    file.unlink()
    export_student(other, file)
    with pytest.raises(ValueError, match="another teacher, in its config, its weights or its file"):
        TeacherCache(tmp_path / "cache", TFLiteTeacher(file)).label(X)


def test_a_function_may_bring_a_fingerprint(tmp_path):
    class Versioned:
        def __init__(self, version):
            self.version = version

        def __call__(self, x):
            return x[:, :3]

        def fingerprint(self):
            return self.version

    TeacherCache(tmp_path, Versioned("1")).label(X)
    TeacherCache(tmp_path, Versioned("1")).label(X)
    with pytest.raises(ValueError, match=r"another teacher.*Received: 2, cached: 1"):
        TeacherCache(tmp_path, Versioned("2")).label(X)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.tanh, r"function teaches.*TeacherCache\(path, function\).*Received: teacher=<ufunc"),
        (keras.layers.Dense(3), r"Put a layer into one: keras.Sequential\(\[keras.Input\(shape"),
        ("teacher.tflite", r"TFLiteTeacher\('teacher.tflite'\).*Received: .* of type str"),
    ],
)
def test_what_cannot_stand_beside_a_student_is_told_the_way(given, message):
    with pytest.raises(TypeError, match=message):
        Distiller(net(), given)
    with pytest.raises(TypeError, match=r"`student` must be a keras.Model\. (Received|Put)"):
        Distiller(given)


def with_hidden(teacher):
    """The net in NumPy, with what its first layer gives."""
    kernel, bias, scores, shift = teacher.get_weights()

    def answer(x):
        hidden = np.tanh(x @ kernel + bias)
        return {"outputs": hidden @ scores + shift, "hidden": hidden}

    return answer


@pytest.mark.core
@pytest.mark.alike
def test_a_functions_features_teach_through_the_cache_as_the_models_do(tmp_path, teacher):
    settings = {"layers": ["hidden"], "dtype": "float32"}
    losses = [FitNetLoss(layers={"hidden": "hidden"}, weight=1.0)]
    runs = [
        fitted(TeacherCache(tmp_path / name, who, **settings).label(DATA), feature_losses=losses)
        for name, who in (("model", teacher), ("function", with_hidden(teacher)))
    ]
    (one, first), (other, second) = runs
    assert_same_run(one, other, first, second)
    plain = TeacherCache(tmp_path / "plain", with_hidden(teacher), dtype="float32").label(DATA)
    assert set(plain.element_spec[0]) == {"inputs", "teacher_outputs"}


@pytest.mark.parametrize(
    "answer, message",
    [
        (lambda x: x, r"returns a dict \{'outputs'.*layers=\['hidden'\], .*ndarray"),
        (lambda x: {"hidden": x}, r"returns a dict \{'outputs'.*with \['hidden'\]"),
        (lambda x: {"outputs": x, "hiden": x}, r"no \['hidden'\]\. Did you mean 'hiden'\?"),
    ],
)
def test_a_function_without_the_features_that_are_wanted_is_refused(tmp_path, answer, message):
    with pytest.raises(ValueError, match=message):
        TeacherCache(tmp_path, answer, layers=["hidden"]).label(DATA)
