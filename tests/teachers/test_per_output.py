"""Teachers of one task each for a student of several outputs."""

import keras
import numpy as np
import pytest
from keras import layers
from models_for_tests import (
    EAGER,
    assert_same_weights,
    examples,
    heads,
    inferred,
    kd,
    net,
    numbers,
    sgd,
)

from keras_kd import Distiller, TeacherCache, compare
from keras_kd.features.model_spec import input_spec, inspect_model
from keras_kd.losses import BinaryKDLoss, KDLoss, RegressionLoss
from keras_kd.teachers import Ensemble, PerOutput

pytestmark = pytest.mark.core
X, Y = examples(6)
LOSSES = {"cls": KDLoss(), "boxes": RegressionLoss(), "mask": None}


def kinds(teacher):
    """What is found of each output, by its name."""
    spec = inspect_model(teacher, input_spec(teacher), {})
    return dict(zip(sorted(spec.outputs), spec.kinds, strict=True))


def distiller(student, teacher=None, **kwargs):
    model = Distiller(student, teacher, **{"alpha": 0.0, "kd_loss": LOSSES, **kwargs})
    model.compile(sgd(), **EAGER)
    return model


@pytest.fixture
def student():
    return heads(["cls", "boxes", "mask"], seed=5)


@pytest.fixture
def teacher():
    return PerOutput({"cls": net(7, seed=1, activation="softmax"), "boxes": net(6, seed=2)})


def test_each_output_is_what_its_teacher_says_in_inference_mode():
    dropping = keras.Sequential([keras.Input((4,)), layers.Dropout(0.9), layers.Dense(2)])
    members = {"boxes": net(seed=1), "cls": dropping}
    given = PerOutput(members)(X, training=True)
    assert type(given) is dict and list(given) == ["boxes", "cls"]
    for name, model in members.items():
        answer = keras.ops.convert_to_numpy(given[name])
        np.testing.assert_array_equal(answer, inferred(model, X))


def test_what_each_output_holds_is_found_of_each_teacher():
    members = {
        "logits": net(),
        "softmax": net(activation="softmax"),
        "sigmoid": net(activation="sigmoid"),
        "unknown": net(activation="tanh"),
        "ensemble": Ensemble([net(), net(seed=1)]),
        "compiled": net(activation="tanh"),
    }
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=False)
    members["compiled"].compile("sgd", loss)
    assert kinds(PerOutput(members)) == {
        "logits": "logits",
        "softmax": "softmax",
        "sigmoid": "sigmoid",
        "unknown": None,
        "ensemble": "logits",
        "compiled": "probabilities",
    }


def test_it_teaches_each_output_with_a_loss_of_its_own(student, teacher):
    before = numbers(teacher)
    z, said = inferred(student, X), inferred(teacher, X)
    model = distiller(student, teacher)
    found = model.fit(X, batch_size=6, verbose=0).history["kd_loss"][0]
    squares = ((said["boxes"] - z["boxes"]).astype("float64") ** 2).sum(-1)
    expected = kd(np.log(said["cls"]), z["cls"], 4.0).mean() + squares.mean()
    assert found == pytest.approx(expected, rel=1e-4)
    for weight, was in zip(numbers(teacher), before, strict=True):
        np.testing.assert_array_equal(weight, was)


def test_its_answers_come_from_a_cache_alike(student, teacher, tmp_path):
    keras.config.disable_interactive_logging()
    data = TeacherCache(tmp_path, teacher, dtype="float32").label(X)
    answers = next(iter(data.batch(6)))["teacher_outputs"]
    assert set(answers["cls"]) == {"probabilities"}  # and boxes are real values
    live, replayed = distiller(student, teacher), distiller(student)
    expected = live.fit(X, batch_size=6, verbose=0).history["kd_loss"][0]
    student.set_weights(heads(["cls", "boxes", "mask"], seed=5).get_weights())
    found = replayed.fit(data.batch(6), verbose=0).history["kd_loss"][0]
    assert found == pytest.approx(expected, rel=1e-4)
    keras.config.enable_interactive_logging()


@pytest.mark.alike
def test_a_loss_that_reads_the_other_kind_is_refused(student, teacher):
    with pytest.raises(ValueError, match="the teacher ends in softmax"):
        distiller(student, teacher, kd_loss={"cls": BinaryKDLoss()})
    with pytest.raises(ValueError, match="no output that corresponds"):
        distiller(student, teacher, kd_loss=KDLoss())  # nobody teaches "mask"


def test_each_takes_its_own_of_inputs_by_name():
    def of(names, seed):
        keras.utils.set_random_seed(seed)
        inputs = {name: keras.Input((2,), name=name) for name in names}
        values = [layers.Dense(3)(x) for x in inputs.values()]
        return keras.Model(inputs, layers.Add()([*values, values[0]]))

    x = {name: examples(5, features=2, seed=seed)[0] for seed, name in enumerate("cab")}
    alone = keras.Input((2,), name="c")
    members = {
        "one": of("ab", 1),
        "two": of("bc", 2),
        "three": keras.Model(alone, layers.Dense(3)(alone)),
    }
    teacher = PerOutput(members)
    assert sorted(teacher.input) == ["a", "b", "c"]
    given = inferred(teacher, x)
    for name, model in members.items():
        own = x["c"] if name == "three" else {key: x[key] for key in model.input}
        np.testing.assert_allclose(given[name], inferred(model, own), atol=1e-6)


def test_it_is_saved_and_one_teacher_may_stand_for_several_outputs(tmp_path):
    two = heads(["scores", "shift"], seed=1)
    teacher = PerOutput(
        {"cls": two, "boxes": two, "extra": net(seed=2)}, choose={"cls": "scores", "boxes": 1}
    )
    assert len(teacher.models) == 2
    teacher.save(tmp_path / "teacher.keras")
    loaded = keras.saving.load_model(tmp_path / "teacher.keras")
    assert_same_weights(loaded, teacher)
    given, expected = inferred(loaded, X), inferred(two, X)
    np.testing.assert_allclose(given["cls"], expected["scores"], atol=1e-6)
    np.testing.assert_allclose(given["boxes"], expected["shift"], atol=1e-6)
    assert len(loaded.models) == 2


@pytest.mark.alike
def test_a_distiller_with_it_is_saved_and_goes_on(student, teacher, tmp_path):
    model = distiller(student, teacher)
    model.fit(X, verbose=0)
    model.save(tmp_path / "distiller.keras")
    loaded = keras.saving.load_model(tmp_path / "distiller.keras")
    for each in (model, loaded):
        each.fit(X, shuffle=False, verbose=0)
    assert_same_weights(loaded.student, model.student)


@pytest.mark.alike
def test_weights_that_two_teachers_share_are_no_file_of_theirs(tmp_path):
    shared = layers.Dense(3)
    one, two = (keras.Sequential([keras.Input((4,)), shared, layers.Dense(2)]) for _ in "ab")
    with pytest.raises(ValueError, match="2 shared variables"):
        PerOutput({"a": one, "b": two}).save(tmp_path / "teacher.keras")


@pytest.mark.alike
def test_compare_takes_it_with_one_output_and_names_several(teacher):
    alone = PerOutput({"cls": teacher.models[0]})
    (row, other) = compare({"alone": alone, "itself": teacher.models[0]}, (X, Y)).rows
    assert row["accuracy"] == other["accuracy"]
    with pytest.raises(ValueError, match=r"one output.*'cls'"):
        compare({"several": teacher}, (X, Y))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="strings are TensorFlow's")
def test_teachers_of_texts_are_given_strings():
    def reading(units):
        inputs = keras.Input((1,), dtype="string")
        cut = layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=2)
        hidden = layers.Flatten()(layers.Embedding(4, 2)(cut(inputs)))
        return keras.Model(inputs, layers.Dense(units)(hidden))

    teacher = PerOutput({"cls": reading(3), "boxes": reading(2)})
    assert "string" in str(teacher.inputs[0].dtype)
    inputs = keras.Input((1,), dtype="string")
    student = keras.Model(inputs, {"cls": reading(3)(inputs), "boxes": reading(2)(inputs)})
    model = distiller(student, teacher, kd_loss={"cls": KDLoss(), "boxes": RegressionLoss()})
    x = keras.ops.convert_to_tensor([["a b"], ["b"]])
    assert np.isfinite(model.fit(x, verbose=0).history["kd_loss"][0])


@pytest.mark.alike
@pytest.mark.parametrize(
    ("teachers", "choose", "error"),
    [
        ({}, None, "of one at least. Received: teachers={}"),
        ([net()], None, "must be a dict"),
        ({1: net()}, None, "the key 1"),
        ({"cls": 3}, None, r"Received: teachers\['cls'\]=3 of type int"),
        ({"cls": keras.Sequential([layers.Dense(3)])}, None, "not built"),
        ({"cls": net(), "boxes": net(features=5)}, None, "want it otherwise"),
        ({"cls": heads(["scores", "shift"])}, None, r"choose={'cls': 'scores'}.*Available"),
        ({"cls": heads(["scores", "shift"])}, {"cls": "score"}, "Did you mean 'scores'"),
        ({"cls": net()}, {"clss": 0}, "Did you mean 'cls'"),
        ({"cls": net()}, "scores", "`choose` must be a dict"),
    ],
)
def test_what_is_no_teacher_of_outputs_is_refused(teachers, choose, error):
    with pytest.raises((TypeError, ValueError), match=error):
        PerOutput(teachers, choose=choose)
