"""What `kd_loss` and `feature_losses` cannot be is refused when the Distiller is made."""

import keras
import numpy as np
import pytest
from keras import layers
from models_for_tests import heads, message, net

from keras_kd import Distiller
from keras_kd.losses import (
    ATLoss,
    BinaryKDLoss,
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
def test_a_layer_is_named_by_a_string_or_a_tap(layers):
    with pytest.raises(TypeError, match=r"`layers` must name layers.*Received: layers="):
        FitNetLoss(layers=layers)


def test_a_layer_object_is_no_name(pair):
    with pytest.raises(TypeError, match=r"`layers` must name layers.*<Dense name=hidden"):
        FitNetLoss(layers={pair[0].get_layer("hidden"): "hidden"})


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
