"""Wrong arguments: a clear error when the Distiller is made, not in the first epoch."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers
from models_for_tests import distiller, examples, heads, message, net

from keras_kd import Distiller
from keras_kd.features import Tap
from keras_kd.losses import (
    BinaryKDLoss,
    BoundedRegressionLoss,
    KDLoss,
    LogitsMSELoss,
    RegressionLoss,
    SoftCrossEntropyLoss,
)

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def pair():
    return net(), net(9, seed=1)


# The models


def test_models_must_be_keras_models(pair):
    student, teacher = pair
    for bad in (None, "student", keras.layers.Dense(3), lambda x: x):
        assert "`student` must be a keras.Model" in message(TypeError, bad, teacher)
    for bad in ("teacher", keras.layers.Dense(3), 3, [teacher]):
        assert "`teacher` must be a keras.Model" in message(TypeError, student, bad)


def test_an_unbuilt_model_must_be_built_first(pair):
    student, teacher = pair
    unbuilt = keras.Sequential([layers.Dense(3)], name="raw")
    for models in ((unbuilt, teacher), (student, unbuilt)):
        text = message(ValueError, *models)
        assert "not built" in text
        assert "'raw'" in text
        assert "keras.Input" in text

    class Raw(keras.Model):
        def call(self, x):
            return x

    assert "not built" in message(ValueError, Raw(), teacher)


def test_the_teacher_must_be_another_model(pair):
    student, _ = pair
    assert "another model" in message(ValueError, student, student)
    nested = keras.Sequential([keras.Input((4,)), student, layers.Activation("linear")])
    assert "another model" in message(ValueError, student, nested)


def test_layers_that_are_shared_but_frozen_may_be_shared():
    trunk = layers.Dense(5, "tanh", name="trunk", trainable=False)
    inputs = keras.Input((4,))
    student, teacher = (keras.Model(inputs, layers.Dense(3)(trunk(inputs))) for _ in range(2))
    Distiller(student, teacher)


@pytest.mark.parametrize("classes", [1, 2, 4])
def test_outputs_must_have_one_shape(pair, classes):
    student, _ = pair
    text = message(ValueError, student, net(classes=classes), kd_loss=LogitsMSELoss())
    assert f"teacher=(None, {classes})" in text
    assert "student=(None, 3)" in text


def test_outputs_must_have_one_rank(pair):
    sequence = keras.Sequential([keras.Input((4,)), layers.Dense(6), layers.Reshape((2, 3))])
    text = message(ValueError, pair[0], sequence)
    assert "teacher=(None, 2, 3)" in text
    assert "student=(None, 3)" in text


def test_a_softmax_over_one_class_teaches_nothing():
    text = message(ValueError, net(classes=1), net(classes=1, seed=1))
    assert "BinaryKDLoss" in text
    Distiller(net(classes=1), net(classes=1, seed=1), kd_loss=BinaryKDLoss())
    Distiller(net(classes=1), net(classes=1, seed=1), kd_loss=RegressionLoss())


def test_a_teacher_must_have_the_outputs_that_are_distilled():
    text = message(ValueError, heads(["a", "b"]), heads(["a", "c"]))
    assert "student outputs=['a', 'b']" in text
    assert "teacher outputs=['a', 'c']" in text
    Distiller(heads(["a", "b"]), heads(["a", "c"]), kd_loss={"a": KDLoss()})


def test_a_mismatch_of_one_output_names_it():
    text = message(
        ValueError,
        heads(["age", "sex"]),
        heads(["age", "sex"], width=4),
        kd_loss={"age": None, "sex": KDLoss()},
    )
    assert "sex" in text


# alpha and temperature


@given(st.floats().filter(lambda value: not 0.0 <= value <= 1.0))
@settings(max_examples=25, deadline=None)
def test_alpha_must_lie_between_0_and_1(pair, value):
    text = message(ValueError, *pair, alpha=value)
    assert "`alpha` must be a finite number at least 0 and at most 1" in text
    assert f"alpha={value!r}" in text


@given(st.floats(max_value=0.0) | st.sampled_from([float("nan"), float("inf"), -float("inf")]))
@settings(max_examples=25, deadline=None)
def test_temperature_must_be_above_0(pair, value):
    text = message(ValueError, *pair, temperature=value)
    assert "`temperature` must be a finite number above 0" in text
    assert f"temperature={value!r}" in text


@pytest.mark.parametrize("name", ["alpha", "temperature"])
@pytest.mark.parametrize(
    "value", [True, False, None, "0.5", [0.5], np.array([0.5]), 0.5j, np.True_], ids=repr
)
def test_alpha_and_temperature_must_be_numbers(pair, name, value):
    assert f"Received: {name}=" in message(TypeError, *pair, **{name: value})


# JAX takes numbers below the smallest normal one for 0.
@given(st.floats(0.0, 1.0, width=32, allow_subnormal=False), st.floats(1e-3, 1e3))
@settings(max_examples=10, deadline=None)
def test_every_alpha_and_temperature_in_range_is_kept_in_float32(pair, alpha, temperature):
    model = Distiller(*pair, alpha=alpha, temperature=temperature)
    assert float(model.alpha) == np.float32(alpha)
    assert float(model.temperature) == np.float32(temperature)


@pytest.mark.parametrize("loss", [KDLoss, SoftCrossEntropyLoss, BinaryKDLoss])
@pytest.mark.parametrize("value", [0, 0.0, -1.0, float("nan"), float("inf")])
def test_a_losss_own_temperature_must_be_above_0(loss, value):
    with pytest.raises(ValueError, match=r"`temperature` must be .*Received: temperature="):
        loss(temperature=value)
    with pytest.raises(TypeError, match=r"`temperature` must be .*Received: temperature=True"):
        loss(temperature=True)


# Data that do not fit what was asked


def test_alpha_above_0_needs_labels_and_a_loss():
    x, y = examples(8)
    with pytest.raises(ValueError, match=r"alpha=0.*Received: y=None.*alpha=0.1"):
        distiller(net(), net(9, seed=1)).fit(x, verbose=0)
    with pytest.raises(ValueError, match=r"alpha=0.*Received: y=given.*compiled loss=None"):
        distiller(net(), net(9, seed=1), compiled={"loss": None}).fit(x, y, verbose=0)


def test_evaluate_without_labels_says_what_there_is_to_do():
    x, _ = examples(8)
    model = distiller(net(), net(9, seed=1), alpha=0.0, compiled={"loss": None})
    with pytest.raises(ValueError, match=r"nothing to evaluate.*validate_with_teacher=True"):
        model.evaluate(x, verbose=0)
    model = distiller(
        net(), net(9, seed=1), alpha=0.0, compiled={"loss": None}, validate_with_teacher=True
    )
    assert set(model.evaluate(x, return_dict=True, verbose=0)) == {"loss", "kd_loss"}


def test_losses_that_need_labels_say_so():
    x, _ = examples(8)
    model = distiller(
        net(), net(9, seed=1), alpha=0.0, kd_loss=BoundedRegressionLoss(), compiled={"loss": None}
    )
    with pytest.raises(ValueError, match="BoundedRegressionLoss needs labels"):
        model.fit(x, verbose=0)


def test_without_a_teacher_its_outputs_must_travel_with_the_data():
    x, y = examples(8)
    for wrong in (x, {"inputs": x}, {"inputs": x, "teacher": x}):
        with pytest.raises((ValueError, KeyError), match=r"teacher_outputs|inputs"):
            distiller(net()).fit(wrong, y, verbose=0)


def test_teacher_outputs_of_another_width_are_an_error():
    x, y = examples(8)
    data = {"inputs": x, "teacher_outputs": np.zeros((8, 4), "float32")}
    with pytest.raises(ValueError, match=r"teacher=\(.*4\).*student=\(.*3\)"):
        distiller(net()).fit(data, y, batch_size=8, verbose=0)


def test_fit_before_compile_is_keras_error():
    x, y = examples(8)
    with pytest.raises(ValueError, match="compile"):
        Distiller(net(), net(9, seed=1)).fit(x, y, verbose=0)


@pytest.mark.parametrize("label", [3, -1])
def test_labels_out_of_range_are_treated_as_keras_treats_them(label):
    x, y = examples(8)
    y[0] = label
    found = []
    for model in (net(), Distiller(net(), net(9, seed=1), alpha=1.0, kd_loss=None)):
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        try:
            found.append(model.fit(x, y, batch_size=8, verbose=0).history["loss"][0])
        except Exception as error:
            found.append(type(error))
    if isinstance(found[0], float):
        np.testing.assert_allclose(found[1], found[0], rtol=1e-6)
    else:
        assert found[1] is found[0]


# The config


def test_a_tap_of_the_wrong_kind_is_refused():
    for wrong in ({"layer": ""}, {"layer": 3}, {"layer": "a", "side": "both"}):
        with pytest.raises(ValueError, match="Received: "):
            Tap(**wrong)


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("teacher.keras", r"keras\.saving\.load_model\('teacher\.keras'\)"),
        ("teacher.tflite", r"TFLiteTeacher\('teacher\.tflite'\)"),
        ("saved_model", r"keras\.layers\.TFSMLayer"),
    ],
)
def test_a_path_is_no_teacher_but_can_become_one(path, advice):
    with pytest.raises(TypeError, match=rf"`teacher` must be a keras\.Model\. .*{advice}"):
        Distiller(net(), path)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="strategies are TensorFlow's")
def test_a_distiller_outside_its_students_scope_says_what_to_do():
    import tensorflow as tf

    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        student = net()
    with pytest.raises(ValueError, match=r"`with strategy\.scope\(\):.*MirroredStrategy"):
        Distiller(student, net(8))


@pytest.mark.filterwarnings("ignore:.*`quantize` method:UserWarning")
def test_kernels_that_cannot_train_are_told():
    student = net()
    student.quantize("int8")
    with pytest.warns(UserWarning, match=r"2 kernels of the student are quantised.*hidden/kernel"):
        Distiller(student, net(8))
