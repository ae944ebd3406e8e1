"""What the base class gives every loss on values of one shape."""

import keras
import numpy as np
import pytest
from every_loss import (
    CLASSES,
    draw,
    every_loss,
    every_loss_and_shape,
    labels_for,
    run,
    some_alike,
    sums_tokens,
)
from gradients import assert_gradient, gradient
from keras import ops

from keras_kd import losses
from keras_kd.features import Tap
from keras_kd.losses import DistillationLoss, FitNetLoss, KDLoss

pytestmark = pytest.mark.core
# Vectors, sequences, maps: each is flattened in its own way.
ONE_OF_A_RANK = [(4, 7), (3, 3, 5), (2, 3, 4, 5)]


@keras.saving.register_keras_serializable(package="keras_kd_tests")
class L1Loss(DistillationLoss):
    """What a user writes."""

    def call(self, teacher_value, student_value):
        return ops.mean(ops.abs(teacher_value - student_value), axis=-1)


class ScalarLoss(DistillationLoss):
    def call(self, teacher_value, student_value):
        return ops.mean(ops.abs(teacher_value - student_value))


@pytest.mark.parametrize(
    ("cls", "shape"), some_alike(CLASSES, *((shape,) for shape in ONE_OF_A_RANK))
)
@pytest.mark.alike
def test_the_gradient_is_the_slope_of_the_values(cls, shape):
    teacher, student = draw(shape, seed=3)
    loss, labels = cls(dtype="float64"), labels_for(shape)
    assert_gradient(lambda z: loss(teacher, z, labels=labels), student)


@every_loss
def test_no_gradient_reaches_the_teacher(cls):
    teacher, student = draw((2, 3, 4))
    labels = labels_for((2, 3, 4))
    slope = gradient(lambda z: cls()(z, student, labels=labels), teacher, "float32")
    np.testing.assert_array_equal(slope, np.zeros(teacher.shape))


@every_loss
def test_the_student_may_be_its_own_teacher_without_a_gradient_to_the_second(cls):
    # A model that teaches itself: only the student's side of the distance may move.
    _, student = draw((2, 3, 4))
    loss, labels = cls(), labels_for((2, 3, 4))
    alone = gradient(lambda z: loss(2.0 * student, z, labels=labels), student, "float32")
    both = gradient(lambda z: loss(2.0 * z, z, labels=labels), student, "float32")
    np.testing.assert_allclose(both, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.alike
@every_loss_and_shape
def test_without_reduction_there_is_one_value_per_sample_or_token(cls, shape):
    teacher, student = draw(shape)
    each = run(cls(reduction=None), teacher, student, labels=labels_for(shape))
    assert each.shape == (shape[:1] if sums_tokens(cls) else shape[:-1])


@pytest.mark.alike
@every_loss
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_large_activations_in_half_precision_stay_finite(cls, dtype):
    # Squares of 60000 overflow float16 (65504); the formula must see float32.
    rng = np.random.default_rng(0)
    teacher, student = (
        ops.cast(ops.array(60_000.0 * rng.uniform(-1.0, 1.0, (2, 3, 3, 4)), "float32"), dtype)
        for _ in range(2)
    )
    labels = np.zeros((2, 3, 3, 4))
    loss = cls()
    value = loss(teacher, student, labels=labels)
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    assert np.isfinite(run(loss, teacher, student, labels=labels))
    # What is rounded to half precision is the input: float32 gives the same for the same numbers.
    wide = [ops.cast(value, "float32") for value in (teacher, student)]
    assert run(loss, *wide, labels=labels) == run(loss, teacher, student, labels=labels)
    if cls in (KDLoss, losses.ATLoss, losses.CosineFeatureLoss):  # gradients that fit float16
        slope = gradient(lambda z: loss(teacher, z, labels=labels), student, dtype)
        assert np.isfinite(slope.astype("float32")).all()


def reloaded(loss):
    return keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))


@pytest.mark.alike
@every_loss
def test_a_reloaded_loss_is_the_same_loss(cls):
    layers = {"conv": Tap("backbone/stage2", side="input"), Tap("pool", call=1): "pool"}
    loss = cls(weight=2.5, layers=layers, name="mine", reduction="sum", dtype="float64")
    teacher, student = draw((2, 3, 4))
    labels = labels_for((2, 3, 4))
    for copy in (reloaded(loss), cls.from_config(loss.get_config())):
        assert type(copy) is cls
        assert copy.get_config() == loss.get_config()
        assert copy.layers == layers
        assert run(copy, teacher, student, labels=labels) == run(
            loss, teacher, student, labels=labels
        )


@pytest.mark.alike
@pytest.mark.parametrize(
    "loss",
    [
        losses.KDLoss(temperature=2.0, teacher_from_logits=False, student_from_logits=True),
        losses.SoftCrossEntropyLoss(temperature=3.0),
        losses.HardLabelLoss(label_smoothing=0.3),
        losses.BinaryKDLoss(temperature=np.float32(2.0)),
        losses.BoundedRegressionLoss(margin=0.5),
        losses.ATLoss(p=3, weight=10),
    ],
    ids=lambda loss: loss.name,
)
def test_a_reloaded_loss_keeps_its_own_arguments(loss):
    teacher, student = np.abs(draw((2, 3, 4))) / 10.0
    labels = labels_for((2, 3, 4))
    copy = reloaded(loss)
    assert copy.get_config() == loss.get_config()
    assert run(copy, teacher, student, labels=labels) == run(loss, teacher, student, labels=labels)


@pytest.mark.alike
@every_loss
def test_a_config_can_be_written_as_json(cls):
    import json

    config = keras.saving.serialize_keras_object(cls(layers={Tap("a"): "b"}))
    copy = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))
    assert copy.layers == {Tap("a"): "b"}


@pytest.mark.alike
@every_loss
@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_a_weight_below_0_or_not_finite_is_refused(cls, wrong):
    with pytest.raises(ValueError, match=r"`weight` must be .* Received: weight="):
        cls(weight=wrong)


@pytest.mark.alike
@pytest.mark.parametrize("wrong", [True, "1", None])
def test_a_weight_that_is_no_number_is_refused(wrong):
    with pytest.raises(TypeError, match=r"`weight` must be .* Received: weight="):
        KDLoss(weight=wrong)


@pytest.mark.alike
@pytest.mark.parametrize("wrong", [{}, [], "conv", ["conv"], [("a", "b")], 3])
def test_layers_that_are_no_pairs_are_refused(wrong):
    with pytest.raises(ValueError, match=r"`layers` must be a dict .* Received: layers="):
        FitNetLoss(layers=wrong)


@pytest.mark.alike
def test_a_reduction_that_keras_does_not_have_is_refused():
    with pytest.raises(ValueError, match=r"Received: reduction=average"):
        KDLoss(reduction="average")


@pytest.mark.alike
@every_loss
def test_values_of_different_rank_are_refused(cls):
    with pytest.raises(ValueError, match=r"one shape.* Received: teacher="):
        cls()(np.ones((2, 3, 3, 4)), np.ones((2, 3, 4)), labels=np.ones((2, 3, 4)))


@pytest.mark.alike
def test_a_formula_that_returns_a_scalar_is_refused():
    message = r"ScalarLoss.call\(\) must return one value per sample.* Received: shape=\(\)"
    with pytest.raises(ValueError, match=message):
        ScalarLoss()(*draw((2, 3)))


@pytest.mark.alike
@every_loss
def test_a_misspelt_argument_of_the_call_is_refused(cls):
    with pytest.raises(
        TypeError, match=r"stages, temperature, training by name\. Received: temprature"
    ):
        cls()(*draw((2, 3, 4)), labels=labels_for((2, 3, 4)), temprature=2.0)


def test_a_loss_of_one_formula_has_everything_else():
    teacher, student = draw((3, 4))
    each = np.abs(teacher - student).mean(axis=1)
    loss = L1Loss(weight=3.0)
    assert loss.name == "l1_loss"
    assert run(loss, teacher, student) == pytest.approx(each.mean(), rel=1e-5)
    weights = np.array([0.0, 1.0, 2.0])
    weighted = run(loss, teacher, student, weights)
    assert weighted == pytest.approx((weights * each).mean(), rel=1e-5)
    masked = run(loss, teacher, student, mask=np.array([True, False, False]))
    assert masked == pytest.approx(each[0], rel=1e-5)
    copy = reloaded(loss)
    assert run(copy, teacher, student) == run(loss, teacher, student)
    assert copy.weight == 3.0


def test_a_formula_gets_what_it_names_and_nothing_else():
    class Curious(DistillationLoss):
        def call(self, teacher_value, student_value, temperature=None, labels=None):
            return temperature * labels + 0.0 * student_value[:, 0]

    loss = Curious(reduction=None)
    given = run(loss, *draw((2, 3)), labels=np.array([1.0, 2.0]), temperature=3.0)
    np.testing.assert_array_equal(given, [3.0, 6.0])


@pytest.mark.alike
def test_names_are_the_class_names_in_snake_case():
    names = {cls.__name__: cls().name for cls in CLASSES}
    assert names == {
        "ATLoss": "at_loss",
        "BinaryKDLoss": "binary_kd_loss",
        "BoundedRegressionLoss": "bounded_regression_loss",
        "CosineFeatureLoss": "cosine_feature_loss",
        "FitNetLoss": "fit_net_loss",
        "HardLabelLoss": "hard_label_loss",
        "KDLoss": "kd_loss",
        "LogitsMSELoss": "logits_mse_loss",
        "RegressionLoss": "regression_loss",
        "SoftCrossEntropyLoss": "soft_cross_entropy_loss",
    }
