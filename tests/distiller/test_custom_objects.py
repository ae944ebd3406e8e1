"""Classes and functions that nobody registered, named when a Distiller is loaded or copied."""

import copy

import keras
import numpy as np
import pytest
from keras import ops
from models_for_tests import distiller, examples, inferred
from variants import alike_but_first

from keras_kd.losses import DistillationLoss
from keras_kd.teachers import Ensemble

pytestmark = pytest.mark.core

X, Y = examples()


class Gated(keras.layers.Layer):
    def build(self, shape):
        self.gate = self.add_weight(shape=(shape[-1],), name="gate")

    def call(self, x):
        return x * ops.sigmoid(self.gate)


def bent(x):
    return ops.relu(x) + 0.1 * x


class Absolute(DistillationLoss):
    def call(self, teacher_value, student_value):
        return ops.mean(ops.abs(teacher_value - student_value), axis=-1)


class Classifier(keras.Model):
    """A subclassed model that holds a functional one."""

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.width, self.body = width, body(width)
        self.scores = keras.layers.Dense(3)

    def call(self, x):
        return self.scores(self.body(x))

    def get_config(self):
        return {"width": self.width, "name": self.name}


OBJECTS = {each.__name__: each for each in (Gated, bent, Absolute, Classifier)}


def body(width):
    return keras.Sequential(
        [keras.Input((4,)), Gated(), keras.layers.Dense(width, bent, name="hidden")], name="body"
    )


def functional(width, seed):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(3)(body(width)(inputs)))


@pytest.fixture(scope="module")
def model():
    """They stand in student, teacher, an ensemble, a subclassed model and a loss."""
    keras.utils.set_random_seed(7)
    subclassed = Classifier(6)
    subclassed(X)
    teacher = Ensemble([functional(5, 1), subclassed])
    trained = distiller(functional(3, 0), teacher, compiled={"loss": "mse"}, kd_loss=Absolute())
    trained.fit(X, np.eye(3)[Y], verbose=0)
    return trained


@alike_but_first("how", ["custom_objects", "scope", "deepcopy"])
def test_they_are_found_wherever_they_stand(model, tmp_path, how):
    file = tmp_path / "d.keras"
    model.save(file)
    if how == "custom_objects":
        found = keras.saving.load_model(file, custom_objects=OBJECTS)
    else:
        with keras.saving.custom_object_scope(OBJECTS):
            found = keras.saving.load_model(file) if how == "scope" else copy.deepcopy(model)
    for name in ("student", "teacher"):
        one, other = (inferred(getattr(each, name), X) for each in (found, model))
        np.testing.assert_allclose(one, other, atol=1e-6)
    found.fit(X, np.eye(3)[Y], verbose=0)


def test_without_their_names_the_error_says_which(model, tmp_path):
    model.save(tmp_path / "d.keras")
    with pytest.raises(TypeError, match="Gated"):
        keras.saving.load_model(tmp_path / "d.keras")
