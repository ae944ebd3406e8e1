"""Students and teachers as users write them: stateful, quantised, frozen, subclassed."""

import copy
import pickle

import keras
import numpy as np
import pytest
from keras import layers
from models_for_tests import (
    cross_entropy,
    distiller,
    examples,
    inferred,
    largest_move,
    net,
    numbers,
    sgd,
)
from variants import first_of

from keras_kd.losses import FitNetLoss, KDLoss

pytestmark = pytest.mark.core


@pytest.mark.skipif(
    keras.backend.backend() == "torch",
    reason="plain `fit` fails there: Keras 3.15.1 changes the LSTM's state in place",
)
def test_stateful_models_of_one_batch_size_train():
    def memory(width, seed):
        keras.utils.set_random_seed(seed)
        inputs = keras.Input(batch_shape=(4, 5, 3))
        hidden = layers.LSTM(width, stateful=True, name="hidden")(inputs)
        return keras.Model(inputs, layers.Dense(3)(hidden))

    student = memory(4, 0)
    before = numbers(student)[:3]
    model = distiller(
        student, memory(6, 1), feature_losses=[FitNetLoss(layers={"hidden": "hidden"})]
    )
    model.fit(np.ones((8, 5, 3), "float32"), np.zeros(8), batch_size=4, verbose=0)
    assert max(np.abs(a - b).max() for a, b in zip(numbers(student), before, strict=False)) > 0


@pytest.mark.alike
def test_an_int8_teacher_teaches():
    x, y = examples(8)
    teacher = net(9, seed=1)
    found = []
    for mode in ("float32", "int8"):
        if mode == "int8":
            teacher.quantize("int8")
        hint = FitNetLoss(layers={"hidden": "hidden"}, weight=1.0)
        model = distiller(net(9), teacher, feature_losses=[hint])
        found.append(model.fit(x, y, verbose=0).history)
    for name in ("kd_loss", "fit_net_loss"):
        assert found[1][name][0] == pytest.approx(found[0][name][0], rel=0.1)


@pytest.mark.alike
def test_the_student_is_an_ordinary_model_that_pickles_clones_and_trains_on():
    x, y = examples(8)
    student = net()
    student.compile(sgd(), cross_entropy(), metrics=["accuracy"])
    student.fit(x, y, verbose=0)
    model = distiller(
        student, net(9, seed=1), feature_losses=[FitNetLoss(layers={"hidden": "hidden"})]
    )
    assert set(model.fit(x, y, verbose=0).history) == {
        "loss",
        "student_loss",
        "kd_loss",
        "fit_net_loss",
    }
    clone = keras.models.clone_model(student)
    clone.set_weights(student.get_weights())
    expected = inferred(student, x)
    for other in (clone, pickle.loads(pickle.dumps(student)), copy.deepcopy(student)):
        np.testing.assert_array_equal(inferred(other, x), expected)
    before = numbers(student)
    student.fit(x, y, verbose=0)
    assert largest_move(student, before) > 0


def test_a_teacher_whose_weights_change_teaches_what_it_knows_now():
    x, y = examples(8)
    teacher = net(9, seed=1)
    model = distiller(net(), teacher, compiled={"optimizer": sgd(0.0)})
    first = model.fit(x, y, verbose=0).history["kd_loss"][0]
    teacher.set_weights([3.0 * weight for weight in teacher.get_weights()])
    assert model.fit(x, y, verbose=0).history["kd_loss"][0] > 2 * first


class Flexible(keras.Model):
    """A list of layers, a keyword of its own, a dropout that follows `training`."""

    def __init__(self, widths=(5, 5), **kwargs):
        super().__init__(**kwargs)
        self.hidden = [
            layers.Dense(width, "tanh", name=f"hidden{i}") for i, width in enumerate(widths)
        ]
        self.drop = layers.Dropout(0.5, seed=1)
        self.scores = layers.Dense(3)
        self.trained = 0

    def call(self, x, training=None, scale=1.0):
        for layer in self.hidden:
            x = layer(x)
        if training:
            self.trained += 1
        return scale * self.scores(self.drop(x, training=training))


def test_a_subclassed_student_with_lists_of_layers_and_keywords_trains():
    x, y = examples(8)
    student = Flexible()
    student(x)
    model = distiller(
        student,
        net(7, seed=1),
        kd_loss=KDLoss(student_from_logits=True),
        feature_losses=[FitNetLoss(layers={"hidden1": "hidden"})],
    )
    before = numbers(student)
    model.fit(x, y, epochs=2, batch_size=4, verbose=0)
    assert student.trained >= 1  # `training=True` reached the student
    assert largest_move(student, before) > 0
    np.testing.assert_array_equal(inferred(model, x), inferred(student, x))


@first_of("structure", [tuple, list, dict])
def test_subclassed_models_with_several_outputs_train(structure):
    class Heads(keras.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = layers.Dense(3, name="a"), layers.Dense(3, name="b")

        def call(self, x):
            outputs = {"a": self.a(x), "b": self.b(x)}
            return outputs if structure is dict else structure(outputs.values())

    x, y = examples(8)
    keras.utils.set_random_seed(0)
    student, teacher = Heads(), Heads()
    student(x), teacher(x)
    labels = {"a": y, "b": y} if structure is dict else structure([y, y])
    loss = (
        {"a": cross_entropy(), "b": cross_entropy()} if structure is dict else [cross_entropy()] * 2
    )
    before = numbers(student)
    found = distiller(student, teacher, compiled={"loss": loss}).fit(x, labels, verbose=0)
    assert found.history["kd_loss"][0] > 0
    assert all(np.abs(a - b).max() > 0 for a, b in zip(numbers(student), before, strict=True))


def test_frozen_student_layers_stay_put():
    x, y = examples(8)
    student = net()
    student.get_layer("hidden").trainable = False
    before = numbers(student)
    model = distiller(student, net(9, seed=1))
    model.fit(x, y, verbose=0)
    after = numbers(student)
    assert np.abs(after[0] - before[0]).max() == np.abs(after[1] - before[1]).max() == 0
    assert np.abs(after[2] - before[2]).max() > 0


def test_a_layer_of_the_student_can_teach_another_model_at_the_same_time():
    """Two Distillers over one student: each reads its own step."""
    x, y = examples(8)
    student = net()
    one = distiller(
        student, net(9, seed=1), feature_losses=[FitNetLoss(layers={"hidden": "hidden"})]
    )
    two = distiller(net(seed=3), student, feature_losses=[FitNetLoss(layers={"hidden": "hidden"})])
    one.fit(x, y, verbose=0)
    before = numbers(student)
    two.fit(x, y, verbose=0)
    assert largest_move(student, before) == 0
    one.fit(x, y, verbose=0)
    assert largest_move(student, before) > 0
