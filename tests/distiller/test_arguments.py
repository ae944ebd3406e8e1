"""Wrong arguments: a clear error when the Distiller is made, not in the first epoch."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers
from models_for_tests import distiller, examples, net

from keras_kd import Distiller
from keras_kd.features import Tap
from keras_kd.losses import (
    ATLoss,
    BinaryKDLoss,
    BoundedRegressionLoss,
    DistillationLoss,
    FitNetLoss,
    HardLabelLoss,
    KDLoss,
    LogitsMSELoss,
    RegressionLoss,
    SoftCrossEntropyLoss,
)

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def pair():
    return net(), net(9, seed=1)


def message(exception, *args, **kwargs):
    """The text of the error that making the Distiller raises."""
    with pytest.raises(exception) as error:
        Distiller(*args, **kwargs)
    text = str(error.value)
    assert "Received: " in text
    return text


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


def heads(names, seed=0, width=3):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    return keras.Model(inputs, {name: layers.Dense(width, name=name)(inputs) for name in names})


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


@given(st.floats(0.0, 1.0), st.floats(1e-3, 1e3))
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


# kd_loss


@pytest.mark.parametrize(
    "loss", ["kl_divergence", keras.losses.KLDivergence(), lambda t, s: 0.0, KDLoss, 3]
)
def test_kd_loss_must_be_a_distillation_loss(pair, loss):
    for given_loss in (loss, [loss]):
        assert "keras_kd.losses.DistillationLoss" in message(TypeError, *pair, kd_loss=given_loss)
    two = heads(["a", "b"]), heads(["a", "b"], 1)
    assert "keras_kd.losses.DistillationLoss" in message(TypeError, *two, kd_loss={"a": loss})


def test_kd_loss_must_follow_the_outputs():
    models = heads(["first", "second"]), heads(["first", "second"], 1)
    for wrong in ([KDLoss()], [KDLoss()] * 3, ()):
        assert "2 outputs" in message(TypeError, *models, kd_loss=wrong)


def test_an_unknown_output_is_named_with_the_nearest():
    models = heads(["first", "second"]), heads(["first", "second"], 1)
    text = message(ValueError, *models, kd_loss={"frist": KDLoss()})
    assert "Did you mean 'first'?" in text
    assert "['first', 'second']" in text


def test_a_feature_loss_is_no_kd_loss(pair):
    text = message(ValueError, *pair, kd_loss=FitNetLoss(layers={"hidden": "hidden"}))
    assert "feature_losses" in text


class Scalar(DistillationLoss):
    """Forgets that there is one value a sample."""

    def call(self, teacher_value, student_value):
        return keras.ops.mean(keras.ops.square(teacher_value - student_value))


def test_a_loss_that_returns_a_scalar_is_refused(pair):
    assert "one value per sample" in message(ValueError, *pair, kd_loss=Scalar())
    hint = Scalar(layers={"hidden": "hidden"})
    assert "one value per sample" in message(ValueError, net(), net(seed=1), feature_losses=[hint])


@pytest.mark.parametrize("loss", [KDLoss, LogitsMSELoss, SoftCrossEntropyLoss, HardLabelLoss])
def test_probabilities_declared_as_logits_are_refused(loss):
    student, teacher = net(), net(9, seed=1, activation="softmax")
    text = message(ValueError, student, teacher, kd_loss=loss(teacher_from_logits=True))
    assert "teacher is declared to return logits" in text
    assert "probabilities" in text
    text = message(ValueError, teacher, student, kd_loss=loss(student_from_logits=True))
    assert "student is declared to return logits" in text
    text = message(ValueError, student, teacher, kd_loss=loss(student_from_logits=False))
    assert "student is declared to return probabilities" in text


@pytest.mark.parametrize("last", [layers.LayerNormalization(), layers.ReLU()])
def test_outputs_of_unknown_kind_must_be_declared(pair, last):
    unknown = keras.Sequential([keras.Input((4,)), layers.Dense(3), last])
    assert "teacher_from_logits=True" in message(ValueError, pair[0], unknown)
    assert "student_from_logits=True" in message(ValueError, unknown, pair[1])
    Distiller(unknown, pair[1], kd_loss=KDLoss(student_from_logits=True))
    Distiller(unknown, pair[1], kd_loss=RegressionLoss())  # compares what is given as it is


@pytest.mark.parametrize(
    ("loss", "activation", "other"),
    [
        (KDLoss, "sigmoid", "BinaryKDLoss"),
        (LogitsMSELoss, "sigmoid", "BinaryKDLoss"),
        (BinaryKDLoss, "softmax", "KDLoss"),
    ],
)
@pytest.mark.parametrize("declared", [None, False])
def test_probabilities_of_another_kind_than_the_loss_reads_are_refused(
    loss, activation, other, declared
):
    logits, ends = net(), net(9, seed=1, activation=activation)
    student, teacher = loss(student_from_logits=declared), loss(teacher_from_logits=declared)
    text = message(ValueError, logits, ends, kd_loss=teacher)
    assert f"the teacher ends in {activation}" in text
    assert f"such as {other}" in text
    assert f"the student ends in {activation}" in message(ValueError, ends, logits, kd_loss=student)


@pytest.mark.parametrize("flag", ["yes", 2, 0.5, []])
def test_from_logits_is_true_false_or_none(flag):
    with pytest.raises(ValueError, match="`teacher_from_logits` must be True, False or None"):
        KDLoss(teacher_from_logits=flag)


# feature_losses


@pytest.mark.parametrize("bad", ["fit_net", FitNetLoss, keras.losses.MeanSquaredError(), None])
def test_feature_losses_must_be_distillation_losses(pair, bad):
    assert "keras_kd.losses.DistillationLoss" in message(TypeError, *pair, feature_losses=[bad])


@pytest.mark.parametrize("bad", [None, 3, "fit_net"])
def test_feature_losses_must_be_a_list(pair, bad):
    assert "feature_losses" in message(TypeError, *pair, feature_losses=bad)


@pytest.mark.parametrize("loss", [FitNetLoss, ATLoss, RegressionLoss, KDLoss])
def test_a_feature_loss_must_say_which_layers(pair, loss):
    text = message(ValueError, *pair, feature_losses=[loss()])
    assert f"{loss.__name__}(layers=" in text


@pytest.mark.parametrize("layers", [{}, [], ["hidden"], "hidden", ("hidden", "hidden")])
def test_layers_must_be_a_dict_with_a_pair(layers):
    with pytest.raises(ValueError, match=r"`layers` must be a dict.*Received: layers="):
        FitNetLoss(layers=layers)


@pytest.mark.parametrize("role", ["student", "teacher"])
def test_an_unknown_layer_is_named_with_the_nearest_and_all_there_are(pair, role):
    chosen = {"hiden": "hidden"} if role == "student" else {"hidden": "hiden"}
    text = message(ValueError, *pair, feature_losses=[FitNetLoss(layers=chosen)])
    assert f"The {role} '" in text
    assert "'hiden'" in text
    assert "Did you mean 'hidden'?" in text
    assert "'scores'" in text


def test_an_unknown_layer_far_from_all_suggests_none(pair):
    text = message(ValueError, *pair, feature_losses=[FitNetLoss(layers={"zzz": "hidden"})])
    assert "Did you mean" not in text
    assert "Available: " in text


@pytest.mark.parametrize(
    "layers",
    [{"hidden": 3}, {3: "hidden"}, {"hidden": None}, {None: "hidden"}, {"hidden": ["hidden"]}],
)
def test_a_layer_is_named_by_a_string_or_a_tap(pair, layers):
    assert "layer" in message(
        (TypeError, ValueError), *pair, feature_losses=[FitNetLoss(layers=layers)]
    )


def test_a_layer_object_is_no_name(pair):
    layer = pair[0].get_layer("hidden")
    message((TypeError, ValueError), *pair, feature_losses=[FitNetLoss(layers={layer: "hidden"})])


def test_two_losses_of_one_name_cannot_be_told_apart(pair):
    twice = [FitNetLoss(layers={"hidden": "hidden"}), FitNetLoss(layers={"scores": "scores"})]
    text = message(ValueError, net(), net(9, seed=1), feature_losses=twice)
    assert "name='fit_net_loss'" in text
    Distiller(
        net(),
        net(9, seed=1),
        feature_losses=[twice[0], FitNetLoss(layers={"scores": "scores"}, name="b")],
    )


@pytest.mark.parametrize("name", ["loss", "student_loss", "kd_loss", "alpha", "temperature"])
def test_names_of_the_logs_are_taken(name):
    hint = FitNetLoss(layers={"hidden": "hidden"}, name=name)
    assert f"name={name!r}" in message(ValueError, net(), net(9, seed=1), feature_losses=[hint])


def test_a_layer_that_does_not_run_is_said_to_rest():
    class Idle(keras.Model):
        def __init__(self):
            super().__init__()
            self.used, self.unused = layers.Dense(3, name="used"), layers.Dense(3, name="unused")

        def call(self, x):
            return self.used(x)

    student = Idle()
    student(np.zeros((1, 4), "float32"))
    hint = FitNetLoss(layers={"unused": "hidden"})
    assert "did not run" in message(ValueError, student, net(), feature_losses=[hint])


def test_a_layer_that_gives_no_single_tensor_cannot_be_tapped():
    inputs = keras.Input((4, 6))
    given, *_ = layers.LSTM(3, return_state=True, name="memory")(inputs)
    student = keras.Model(inputs, layers.Dense(3)(given))
    hint = FitNetLoss(layers={"memory": "hidden"})
    other = keras.Sequential(
        [keras.Input((4, 6)), layers.Flatten(), layers.Dense(5, name="hidden"), layers.Dense(3)]
    )
    assert "not one tensor" in message(ValueError, student, other, feature_losses=[hint])


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_weight_is_at_least_0(weight):
    with pytest.raises(ValueError, match=r"`weight` must be .*Received: weight="):
        FitNetLoss(layers={"hidden": "hidden"}, weight=weight)
    with pytest.raises(TypeError, match=r"`weight` must be .*Received: weight=True"):
        FitNetLoss(layers={"hidden": "hidden"}, weight=True)


def test_maps_against_vectors_name_layers_and_shapes(pair):
    text = message(ValueError, *pair, feature_losses=[ATLoss(layers={"hidden": "hidden"})])
    assert "'hidden'" in text
    assert "(None, 5)" in text
    assert "(None, 9)" in text


def test_a_wrong_argument_is_named():
    with pytest.raises(TypeError, match="temperatur"):
        Distiller(net(), net(seed=1), temperatur=2.0)


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
