"""A head that trains on a teacher's frozen body, and a student that learns from both."""

import keras
import numpy as np
import pytest
from keras import layers
from models_for_tests import (
    EAGER,
    assert_same_weights,
    cross_entropy,
    distiller,
    examples,
    inferred,
    kd,
    net,
    numbers,
    sgd,
)

from keras_kd.export import export_student
from keras_kd.features import Tap
from keras_kd.teachers import student_on

pytestmark = pytest.mark.core
X, Y = examples(8)


def fitted(model, x=X, y=Y, **fit):
    model.compile(sgd(), cross_entropy(), **EAGER)
    model.fit(x, y, epochs=2, verbose=0, **fit)
    return model


def dropping():
    """A net whose body behaves otherwise in training: `drop` ends it."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(5, name="hidden"),
            layers.BatchNormalization(name="norm"),
            layers.Dropout(0.5, name="drop"),
            layers.Dense(3, name="scores"),
        ]
    )


def head(value):
    return {"body": value, "scores": layers.Dense(3)(value)}


def nested(seed=0):
    """A classifier in KerasHub's way: a backbone with a graph of its own, and a head."""
    keras.utils.set_random_seed(seed)
    x = keras.Input((4,), name="features")
    hidden = layers.Dense(5, "tanh", name="stage1")(x)
    backbone = keras.Model(x, layers.Dense(6, "tanh", name="stage2")(hidden), name="backbone")
    inputs = keras.Input((4,), name="data")
    scaled = layers.Rescaling(0.5, name="scaled")(inputs)
    return keras.Model(inputs, layers.Dense(3, name="scores")(backbone(scaled)), name="task")


def test_only_the_head_moves():
    teacher = dropping()
    model = student_on(teacher, "drop", layers.Dense(3, name="head"))
    before, theirs = numbers(model.get_layer("body")), numbers(teacher)
    fitted(model)
    for weight, was in zip(numbers(model.get_layer("body")), before, strict=True):
        np.testing.assert_array_equal(weight, was)  # BatchNormalization's statistics among them
    for weight, was in zip(numbers(teacher), theirs, strict=True):
        np.testing.assert_array_equal(weight, was)
    assert [weight.name for weight in model.trainable_weights] == ["kernel", "bias"]
    assert len(teacher.trainable_weights) == 6 and teacher.trainable


def test_the_body_answers_as_the_teacher_does_in_predict_also_in_training():
    teacher = dropping()  # with dropout and BatchNormalization
    model = student_on(teacher, "drop", head)
    expected = inferred(keras.Model(teacher.inputs, teacher.get_layer("drop").output), X)
    for training in (True, False):
        given = model(X, training=training)["body"]
        np.testing.assert_allclose(keras.ops.convert_to_numpy(given), expected, atol=1e-6)


def test_a_model_that_is_frozen_and_thawed_thaws_the_head_alone(tmp_path):
    model = student_on(dropping(), "drop", layers.Dense(3, name="head"))
    model.trainable = False
    assert not model.trainable_weights
    model.trainable = True
    assert [weight.path for weight in model.trainable_weights] == ["head/kernel", "head/bias"]
    body = model.get_layer("body")
    body.trainable = True
    assert not body.trainable and not body.body.trainable_weights
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert len(loaded.trainable_weights) == 2


def test_a_step_is_that_of_the_head_alone():
    teacher = net(7, seed=1)
    hidden = inferred(keras.Model(teacher.inputs, teacher.get_layer("hidden").output), X)
    start = keras.initializers.GlorotUniform(3)
    make = {"kernel_initializer": start, "name": "head"}
    model = fitted(student_on(teacher, "hidden", layers.Dense(3, **make)), shuffle=False)
    alone = keras.Sequential([keras.Input((7,)), layers.Dense(3, **make)])
    fitted(alone, hidden, shuffle=False)
    for one, other in zip(model.trainable_weights, alone.weights, strict=True):
        a, b = (keras.ops.convert_to_numpy(weight) for weight in (one, other))
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_it_teaches_a_student_that_stands_alone():
    teacher = fitted(student_on(net(7, seed=1), "hidden", layers.Dense(3)))
    student = net(3, seed=2)
    said, z, before = inferred(teacher, X), inferred(student, X), numbers(teacher)
    model = distiller(student, teacher, alpha=0.0, temperature=2.0)
    found = model.fit(X, batch_size=8, verbose=0).history["kd_loss"][0]
    assert found == pytest.approx(kd(said, z, 2.0).mean(), rel=1e-4)
    for weight, was in zip(numbers(teacher), before, strict=True):
        np.testing.assert_array_equal(weight, was)


@pytest.mark.parametrize("place", ["backbone/stage1", "stage1", Tap("stage2", side="input")])
def test_a_layer_inside_nested_models_is_reached(place):
    teacher = nested()
    outbound = len(teacher.get_layer("scaled")._outbound_nodes)
    model = student_on(teacher, place, layers.Dense(2, name="head"))
    body = teacher.get_layer("backbone")
    inner = keras.Model(body.inputs, body.get_layer("stage1").output)
    hidden = inferred(inner, X * np.float32(0.5))
    kernel, bias = (keras.ops.convert_to_numpy(w) for w in model.get_layer("head").weights)
    np.testing.assert_allclose(inferred(model, X), hidden @ kernel + bias, atol=1e-5)
    assert len(model.get_layer("body").weights) == 2  # nothing above the layer is carried
    assert len(teacher.get_layer("scaled")._outbound_nodes) == outbound


def test_masks_go_on_to_the_head():
    words = np.array([[1, 2, 0], [3, 0, 0]], "int32")
    inputs = keras.Input((3,), dtype="int32")
    hidden = layers.Embedding(5, 4, mask_zero=True, name="words")(inputs)
    teacher = keras.Model(inputs, layers.GlobalAveragePooling1D()(hidden))
    dense = layers.Dense(2)
    model = student_on(teacher, "words", lambda x: dense(layers.GlobalAveragePooling1D()(x)))
    vectors = keras.ops.convert_to_numpy(teacher.get_layer("words").embeddings)
    means = np.stack([vectors[[1, 2]].mean(0), vectors[3]])
    kernel, bias = (keras.ops.convert_to_numpy(w) for w in dense.weights)
    expected = means @ kernel + bias
    np.testing.assert_allclose(inferred(model, words), expected, atol=1e-6)
    np.testing.assert_allclose(model.predict(words, verbose=0), expected, atol=1e-6)


def test_it_is_saved_and_stays_frozen(tmp_path):
    model = fitted(student_on(dropping(), "drop", layers.Dense(3)))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_same_weights(loaded, model)
    before = numbers(loaded.get_layer("body"))
    loaded.fit(X, Y, verbose=0)
    for weight, was in zip(numbers(loaded.get_layer("body")), before, strict=True):
        np.testing.assert_array_equal(weight, was)


@pytest.mark.alike
def test_it_is_exported_as_one_model(tmp_path, capsys):
    model = student_on(net(), "hidden", layers.Dense(2))
    assert export_student(model, tmp_path / "model.keras").agreement == 1.0


@pytest.mark.alike
def test_a_teacher_in_half_precision_keeps_it():
    keras.config.set_dtype_policy("mixed_bfloat16")
    teacher = net()
    keras.config.set_dtype_policy("float32")
    model = student_on(teacher, "hidden", layers.Dense(3))
    assert model.get_layer("body").body.get_layer("hidden").compute_dtype == "bfloat16"
    assert np.isfinite(fitted(model).predict(X, verbose=0)).all()


class Subclassed(keras.Model):
    def call(self, x):
        return x


def subclassed():
    model = Subclassed()
    model(X)
    return model


def twice():
    inputs, layer = keras.Input((4,)), layers.Dense(4, name="twice")
    return keras.Model(inputs, layer(layer(inputs)))


class Task(keras.Sequential):
    """A model that brings a preprocessor in KerasHub's way."""

    preprocessor = layers.Rescaling(1 / 255)

    def preprocess_samples(self, x, y=None, sample_weight=None):
        return self.preprocessor(x)


SHARING = net()


@pytest.mark.alike
@pytest.mark.parametrize(
    ("teacher", "layer", "head", "error"),
    [
        (net(), "hiden", layers.Dense(2), "no such layer.*Did you mean 'hidden'"),
        (net(), 3, layers.Dense(2), "Received: layer=3"),
        (net(), Tap("hidden", call=1), layers.Dense(2), "runs 1 times"),
        (twice(), "twice", layers.Dense(2), "runs 2 times"),
        (net(), "hidden", "dense", "Received: head='dense'"),
        (net(), "hidden", lambda value: None, r"must return a tensor"),
        (net(), "hidden", layers.Softmax(), "no weights that train"),
        (SHARING, "hidden", SHARING.get_layer("scores"), "would train the teacher"),
        (subclassed(), "hidden", layers.Dense(2), "Only Functional and Sequential"),
        (keras.Sequential([layers.Dense(3)]), "dense", layers.Dense(2), "not built"),
        (3, "hidden", layers.Dense(2), "Received: teacher=3"),
        (Task([keras.Input((4,)), layers.Dense(3)]), "dense", layers.Dense(2), "preprocessor"),
    ],
)
def test_what_is_no_head_on_a_teacher_is_refused(teacher, layer, head, error):
    with pytest.raises((TypeError, ValueError), match=error):
        student_on(teacher, layer, head)
