"""What cannot learn from each other is told before the first step."""

import keras
import numpy as np
import pytest
from models_for_tests import cross_entropy, examples, heads, net, sgd

from keras_kd.losses import ATLoss, CTKDLoss, KDLoss, RegressionLoss
from keras_kd.schemes import MutualDistiller

pytestmark = [pytest.mark.core, pytest.mark.alike]


def student(name, **kwargs):
    made = net(**kwargs)
    made.name = name
    return made


@pytest.fixture(scope="module")
def a():
    return student("a")


@pytest.fixture(scope="module")
def b():
    return student("b", seed=1)


def refused(exception, match, students, **kwargs):
    with pytest.raises(exception, match=match) as error:
        MutualDistiller(students, **kwargs)
    assert "Received: " in str(error.value)


@pytest.mark.parametrize("students", [[], None, "ab", 3])
def test_no_list_of_two(students):
    refused(ValueError, "two or more keras.Models", students)


def test_students_that_cannot_be_told_apart_or_are_no_models(a, b):
    refused(ValueError, "two or more", [a])
    refused(TypeError, "keras.Model was expected", [a, keras.layers.Dense(3)])
    refused(TypeError, "load_model", [a, "student.keras"])
    refused(ValueError, "not built", [a, keras.Sequential([keras.layers.Dense(3)])])
    refused(ValueError, "twice", [a, b, a])
    refused(ValueError, "names must differ", [a, student("a")])
    refused(ValueError, "one name for two figures", [a, student("a_mutual")])


def test_students_of_other_inputs_or_outputs(a):
    refused(ValueError, "same inputs", [a, student("b", features=5)])
    refused(ValueError, "outputs of one shape", [a, student("b", classes=4)])
    refused(ValueError, "outputs of one kind", [a, student("b", activation="softmax")])
    two = heads(["x", "y"])
    refused(ValueError, "must give one output", [a, two])
    unknown = [student(name, activation="relu") for name in "ab"]
    refused(ValueError, "logits or probabilities", unknown)
    yes_no = [student(name, activation="sigmoid") for name in "ab"]
    refused(ValueError, "BinaryKDLoss", yes_no)


def test_a_student_with_rules_of_its_own(a):
    class Own(keras.Model):
        def compute_loss(self, *args, **kwargs):
            return super().compute_loss(*args, **kwargs)

    inner = net()
    refused(ValueError, "compute_loss` of its own", [a, Own(inner.input, inner.output, name="o")])


def test_numbers_and_losses(a, b):
    refused(ValueError, "temperature", [a, b], temperature=0.0)
    refused(ValueError, "weight", [a, b], weight=-1.0)
    refused(ValueError, "learn_from", [a, b], learn_from="best")
    refused(TypeError, "kd_loss", [a, b], kd_loss="kl")
    refused(ValueError, "compare outputs", [a, b], kd_loss=ATLoss(layers={"hidden": "hidden"}))
    refused(ValueError, "compare outputs", [a, b], kd_loss=CTKDLoss(9))
    refused(ValueError, "weight at 1", [a, b], kd_loss=KDLoss(weight=2.0))
    refused(ValueError, "mean of prob", [a, b], kd_loss=RegressionLoss(), learn_from="mean")


def compile_refused(model, match, *args, **kwargs):
    with pytest.raises(ValueError, match=match) as error:
        model.compile(sgd(), *args, **kwargs)
    assert "Received: " in str(error.value)


def test_compile(a, b):
    model = MutualDistiller([a, b])
    compile_refused(model, "one loss for all", {"a": "mse"})
    compile_refused(model, "one loss for all", ["mse", "mse"])
    compile_refused(model, "Did you mean 'a'", {"aa": "mse", "b": "mse"})
    compile_refused(model, "must be a list", "mse", metrics="accuracy")
    compile_refused(model, "must be a list", "mse", metrics=[["accuracy"], ["accuracy"]])
    compile_refused(model, "names what is not there", "mse", metrics={"c": ["accuracy"]})
    compile_refused(model, "loss_weights", "mse", loss_weights=[1.0, 2.0])


def test_data(a, b):
    x, y = examples()
    model = MutualDistiller([a, b])
    model.compile(sgd(), cross_entropy(), run_eagerly=True)
    with pytest.raises(ValueError, match=r"need labels.*Received: y=None"):
        model.train_on_batch(x)
    with pytest.raises(ValueError, match="one array"):
        model.train_on_batch(x, {"a": y, "b": y})
    with pytest.raises(ValueError, match=r"one of `students`.*Received"):
        model.export("both")


def test_students_that_share_layers_are_kept_by_their_weights(tmp_path):
    shared = keras.layers.Dense(3, name="shared")
    inputs = keras.Input((4,))
    students = [
        keras.Model(inputs, keras.layers.Dense(2)(shared(inputs)), name=name) for name in "ab"
    ]
    model = MutualDistiller(students)
    with pytest.raises(ValueError, match="save_weights"):
        model.save(tmp_path / "both.keras")
    model.save_weights(tmp_path / "both.weights.h5")
    before = [np.array(w) for w in model.get_weights()]
    model.load_weights(tmp_path / "both.weights.h5")
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
