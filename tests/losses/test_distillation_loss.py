import keras
import numpy as np
import pytest
from every_loss import (
    CLASSES,
    SHAPES,
    draw,
    every_loss,
    labels_for,
    run,
    two_seeds,
)
from gradients import assert_gradient, gradient
from keras import ops

from keras_kd import losses
from keras_kd.features import Tap
from keras_kd.losses import DistillationLoss, FitNetLoss, KDLoss, RegressionLoss

pytestmark = pytest.mark.core

PAIRS = [
    (cls, shape)
    for cls in CLASSES
    for shape in SHAPES
    if cls is not losses.ATLoss or len(shape) > 2
]
every_loss_and_shape = pytest.mark.parametrize(("cls", "shape"), PAIRS)


@keras.saving.register_keras_serializable(package="keras_kd_tests")
class L1Loss(DistillationLoss):
    """What a user writes."""

    def call(self, teacher_value, student_value):
        return ops.mean(ops.abs(teacher_value - student_value), axis=-1)


class ScalarLoss(DistillationLoss):
    def call(self, teacher_value, student_value):
        return ops.mean(ops.abs(teacher_value - student_value))


def sums_tokens(cls):
    """Whether a loss gives one value a sample, whatever axes the values have."""
    return issubclass(cls, losses.ATLoss | losses.CosineFeatureLoss | losses.FitNetLoss)


@pytest.mark.parametrize(("cls", "shape"), [pair for pair in PAIRS if pair[1][0] != 1])
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


@every_loss_and_shape
def test_without_reduction_there_is_one_value_per_sample_or_token(cls, shape):
    teacher, student = draw(shape)
    each = run(cls(reduction=None), teacher, student, labels=labels_for(shape))
    assert each.shape == (shape[:1] if sums_tokens(cls) else shape[:-1])


@two_seeds
@every_loss_and_shape
def test_sample_weights_weigh_samples_also_where_the_batch_is_as_long_as_a_sequence(
    cls, shape, seed
):
    teacher, student = draw(shape, seed)
    weights = np.random.default_rng(seed + 10).random(shape[0])
    labels = labels_for(shape)
    each = run(cls(reduction=None), teacher, student, labels=labels)
    expected = np.mean([w * sample.mean() for w, sample in zip(weights, each, strict=True)])
    for given in (weights, weights[:, None]):
        weighted = run(cls(), teacher, student, given, labels=labels)
        assert weighted == pytest.approx(expected, rel=1e-5, abs=1e-6)


@every_loss
def test_token_weights_weigh_tokens(cls):
    teacher, student = draw((3, 4, 5))
    labels = labels_for((3, 4, 5))
    weights = np.random.default_rng(5).random((3, 4))
    each = run(cls(reduction=None), teacher, student, labels=labels)
    # A loss that gives one value a sample can only use the mean of the sample's weights.
    expected = (each * (weights.mean(axis=1) if sums_tokens(cls) else weights)).mean()
    assert run(cls(), teacher, student, weights, labels=labels) == pytest.approx(expected, rel=1e-5)


@every_loss
def test_zero_weights_give_zero_and_a_zero_gradient(cls):
    teacher, student = draw((3, 3, 4))
    labels = labels_for((3, 3, 4))
    assert run(cls(), teacher, student, np.zeros(3), labels=labels) == 0.0
    slope = gradient(lambda z: cls()(teacher, z, np.zeros(3), labels=labels), student, "float32")
    np.testing.assert_array_equal(slope, np.zeros(student.shape))


@every_loss
@pytest.mark.parametrize("reduction", ["sum", "mean_with_sample_weight"])
def test_other_reductions_are_those_of_keras(cls, reduction):
    teacher, student = draw((4, 3, 5))
    labels, weights = labels_for((4, 3, 5)), np.array([1.0, 0.0, 2.0, 0.5])
    each = run(cls(reduction=None), teacher, student, labels=labels)
    spread = np.broadcast_to(weights.reshape((4,) + (1,) * (each.ndim - 1)), each.shape)
    expected = (each * spread).sum()
    if reduction == "mean_with_sample_weight":
        expected /= spread.sum()
    reduced = run(cls(reduction=reduction), teacher, student, weights, labels=labels)
    assert reduced == pytest.approx(expected, rel=1e-5)


@pytest.fixture(scope="module")
def taggers():
    """Two taggers of sentences that end in padding."""

    def normal(seed):
        return keras.initializers.RandomNormal(stddev=2.0, seed=seed)

    embed = [keras.layers.Embedding(9, 6, normal(seed), mask_zero=True) for seed in (0, 1)]
    dense = [keras.layers.Dense(5, kernel_initializer=normal(seed)) for seed in (2, 3)]

    def tag(sentences, length):
        tokens = np.array([words + [0] * (length - len(words)) for words in sentences])
        return [d(e(tokens)) for e, d in zip(embed, dense, strict=True)], tokens != 0

    return tag


SENTENCES = [[3, 1, 4], [1], [5]]


@every_loss
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
def test_padding_a_sentence_further_changes_nothing(cls, reduction, taggers):
    loss, found = cls(reduction=reduction), []
    for length in (3, 7):
        (teacher, student), real = taggers(SENTENCES, length)
        labels = np.ones((3, length, 5))
        assert student._keras_mask is not None
        found.append(run(loss, teacher, student, labels=labels))
        by_hand = [ops.convert_to_numpy(value) for value in (teacher, student)]
        found.append(run(loss, *by_hand, labels=labels, mask=real))
    assert found[0] > 0.0
    # float32: 5 real tokens, summed in another order
    np.testing.assert_allclose(found, found[0], rtol=1e-5)


@every_loss
def test_padding_weighs_nothing_against_the_sentences_alone(cls, taggers):
    (teacher, student), real = taggers(SENTENCES, 7)
    labels = np.ones((3, 7, 5))
    teacher, student = ops.convert_to_numpy(teacher), ops.convert_to_numpy(student)
    alone = [
        np.ravel(
            run(
                cls(reduction=None),
                teacher[i : i + 1, :n],
                student[i : i + 1, :n],
                labels=labels[i : i + 1, :n],
            )
        )
        for i, n in enumerate(real.sum(axis=1))
    ]
    expected = np.concatenate(alone).mean()
    masked = run(cls(), teacher, student, labels=labels, mask=real)
    assert masked == pytest.approx(expected, rel=1e-5)


@every_loss
def test_padding_gets_no_gradient(cls, taggers):
    (teacher, student), real = taggers(SENTENCES, 7)
    teacher, student = ops.convert_to_numpy(teacher), ops.convert_to_numpy(student)
    labels = np.ones((3, 7, 5))
    slope = gradient(lambda z: cls()(teacher, z, labels=labels, mask=real), student, "float32")
    np.testing.assert_array_equal(slope[~real], 0.0)
    assert np.abs(slope[real]).max() > 0.0


@every_loss
def test_a_mask_and_sample_weights_work_together(cls, taggers):
    (teacher, student), real = taggers(SENTENCES, 3)  # as many sentences as words
    teacher, student = ops.convert_to_numpy(teacher), ops.convert_to_numpy(student)
    labels, weights = np.ones((3, 3, 5)), np.array([1.0, 0.0, 3.0])
    context = {"labels": labels, "mask": real}
    each = run(cls(reduction=None), teacher, student, **context)
    spread = weights if sums_tokens(cls) else weights[:, None]
    count = 3 if sums_tokens(cls) else real.sum()
    weighted = run(cls(), teacher, student, weights, **context)
    assert weighted == pytest.approx((each * spread).sum() / count, rel=1e-5)


@every_loss
def test_nothing_but_padding_gives_zero_and_not_nan(cls):
    teacher, student = draw((2, 3, 4))
    context = {"labels": labels_for((2, 3, 4)), "mask": np.zeros((2, 3), bool)}
    assert run(cls(), teacher, student, **context) == 0.0
    slope = gradient(lambda z: cls()(teacher, z, **context), student, "float32")
    np.testing.assert_array_equal(slope, np.zeros(student.shape))


@every_loss
@pytest.mark.parametrize("shape", [(3, 5), (3, 3), (3, 1), (2, 4)])
def test_a_mask_of_another_length_is_refused(cls, shape):
    teacher, student = draw((3, 4, 5))
    labels = labels_for((3, 4, 5))
    message = rf"first axes of the values.*mask=\({shape[0]}, {shape[1]}\), values=\(3, 4"
    with pytest.raises(ValueError, match=message):
        cls()(teacher, student, labels=labels, mask=np.ones(shape, bool))


def test_a_mask_of_another_length_is_refused_beside_an_ignored_label_too():
    teacher, student = draw((3, 4, 5))
    loss = KDLoss(ignore_class=-1)
    with pytest.raises(ValueError, match=r"mask=\(3, 5\), values=\(3, 4\)"):
        loss(teacher, student, labels=np.zeros((3, 4), int), mask=np.ones((3, 5), bool))


def test_a_mask_of_tokens_for_a_loss_that_sums_over_them_is_an_error():
    class SumsTokens(DistillationLoss):
        def call(self, teacher_value, student_value):
            return ops.mean(ops.square(teacher_value - student_value), axis=(1, 2))

    teacher, student = draw((2, 3, 4))
    with pytest.raises(ValueError, match=r"let it take an argument `mask`\. Received: values of"):
        SumsTokens()(teacher, student, mask=np.ones((2, 3), bool))


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


@every_loss
def test_a_config_can_be_written_as_json(cls):
    import json

    config = keras.saving.serialize_keras_object(cls(layers={Tap("a"): "b"}))
    copy = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))
    assert copy.layers == {Tap("a"): "b"}


@every_loss
@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_a_weight_below_0_or_not_finite_is_refused(cls, wrong):
    with pytest.raises(ValueError, match=r"`weight` must be .* Received: weight="):
        cls(weight=wrong)


@pytest.mark.parametrize("wrong", [True, "1", None])
def test_a_weight_that_is_no_number_is_refused(wrong):
    with pytest.raises(TypeError, match=r"`weight` must be .* Received: weight="):
        KDLoss(weight=wrong)


@pytest.mark.parametrize("wrong", [{}, [], "conv", ["conv"], [("a", "b")], 3])
def test_layers_that_are_no_pairs_are_refused(wrong):
    with pytest.raises(ValueError, match=r"`layers` must be a dict .* Received: layers="):
        FitNetLoss(layers=wrong)


def test_a_reduction_that_keras_does_not_have_is_refused():
    with pytest.raises(ValueError, match=r"Received: reduction=average"):
        KDLoss(reduction="average")


@every_loss
def test_values_of_different_rank_are_refused(cls):
    with pytest.raises(ValueError, match=r"one shape.* Received: teacher="):
        cls()(np.ones((2, 3, 3, 4)), np.ones((2, 3, 4)), labels=np.ones((2, 3, 4)))


def test_a_formula_that_returns_a_scalar_is_refused():
    message = r"ScalarLoss.call\(\) must return one value per sample.* Received: shape=\(\)"
    with pytest.raises(ValueError, match=message):
        ScalarLoss()(*draw((2, 3)))


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


@every_loss
def test_several_pairs_are_summed(cls):
    first, second = draw((2, 3, 4), seed=0), draw((2, 3, 4), seed=1)
    labels, weights = labels_for((2, 3, 4)), np.array([1.0, 0.5])
    expected = sum(run(cls(), *pair, weights, labels=labels) for pair in (first, second))
    teachers, students = zip(first, second, strict=True)
    together = run(cls(), list(teachers), list(students), weights, labels=labels)
    assert together == pytest.approx(expected, rel=1e-6)


def test_pairs_of_different_shapes_are_summed():
    wide, narrow = draw((2, 4, 4, 3)), draw((2, 2, 2, 8))
    expected = run(FitNetLoss(), *wide) + run(FitNetLoss(), *narrow)
    together = run(FitNetLoss(), [wide[0], narrow[0]], [wide[1], narrow[1]])
    assert together == pytest.approx(expected, rel=1e-6)


def test_pairs_share_a_mask_or_have_one_each():
    pairs = [draw((2, 3, 4), seed=0), draw((2, 3, 4), seed=1)]
    teachers, students = zip(*pairs, strict=True)
    masks = [np.array([[1, 1, 0], [1, 0, 0]], bool), np.array([[1, 0, 0], [1, 1, 1]], bool)]
    loss = FitNetLoss()
    expected = sum(run(loss, *pair, mask=masks[0]) for pair in pairs)
    assert run(loss, teachers, students, mask=masks[0]) == pytest.approx(expected, rel=1e-6)
    expected = sum(run(loss, *pair, mask=mask) for pair, mask in zip(pairs, masks, strict=True))
    assert run(loss, teachers, students, mask=masks) == pytest.approx(expected, rel=1e-6)
    expected = run(loss, *pairs[0]) + run(loss, *pairs[1], mask=masks[1])
    some = run(loss, teachers, students, mask=[None, masks[1]])
    assert some == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("teachers", "students", "context"),
    [
        ([np.ones((2, 3))], [np.ones((2, 3))] * 2, {}),
        ([np.ones((2, 3))] * 3, [np.ones((2, 3))] * 2, {}),
        (np.ones((2, 2, 3)), [np.ones((2, 3))] * 2, {}),
        ([], [], {}),
        ([np.ones((2, 3))] * 2, [np.ones((2, 3))] * 2, {"mask": [None]}),
    ],
    ids=["fewer teachers", "more teachers", "one array", "no pair", "fewer masks"],
)
def test_pairs_that_do_not_pair_up_are_an_error(teachers, students, context):
    with pytest.raises(ValueError, match=r"compares pairs: .*Received: .* teacher values"):
        RegressionLoss()(teachers, students, **context)
