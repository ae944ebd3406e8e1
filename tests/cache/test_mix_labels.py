import keras
import numpy as np
import pytest
import tensorflow as tf
from formulas import softmax, spread, top_k_labels
from models_for_tests import distiller, inferred
from nets_for_losses import digits
from variants import first_of

from keras_kd.cache import MixLabels

pytestmark = pytest.mark.core

CLASSES = 5
COUNT = 12
SIDE = 8
MIXING = [
    pytest.param(lambda **kw: keras.layers.MixUp(alpha=0.8, **kw), 1e-5, id="mixup"),
    # Keras pastes whole pixels: each side of the box may be one off.
    pytest.param(keras.layers.CutMix, (2 * SIDE + 1) / SIDE**2, id="cutmix"),
]
every_layer = pytest.mark.parametrize(("make", "tolerance"), MIXING)


def teacher_logits():
    return (2.0 * np.random.default_rng(0).normal(size=(COUNT, CLASSES))).astype("float32")


def y_true():
    return np.random.default_rng(1).integers(0, CLASSES, COUNT)


def numbered_images():
    """Example i is i in channel 0 and i^2 in channel 1: a mixture tells both partners."""
    number = np.arange(COUNT, dtype="float32")
    pair = np.stack([number, number**2], axis=-1)
    return np.broadcast_to(pair[:, None, None], (COUNT, SIDE, SIDE, 2)).copy()


def mixed(mix, teacher, *rest, images=None, batch=COUNT, **more):
    x = {"inputs": numbered_images() if images is None else images, "teacher_outputs": teacher}
    data = tf.data.Dataset.from_tensor_slices(({**x, **more}, *rest))
    batches = list(data.batch(batch).map(mix).as_numpy_iterator())
    if isinstance(batches[0], dict):
        return keras.tree.map_structure(lambda *parts: np.concatenate(parts), *batches)
    return tuple(
        keras.tree.map_structure(lambda *parts: np.concatenate(parts), *each)
        for each in zip(*batches, strict=True)
    )


def partners(images):
    """`(partner, coefficient of the example itself)` of each image."""
    first, second = images.mean(axis=(1, 2)).T
    found = []
    for i in range(COUNT):
        # m1 = c i + (1-c) j and m2 = c i^2 + (1-c) j^2: the line through i and j.
        gaps = [
            np.inf if j == i else abs((second[i] - i * i) - (first[i] - i) * (i + j))
            for j in range(COUNT)
        ]
        j = int(np.argmin(gaps))
        found.append((j, (first[i] - j) / (i - j)))
    return found


@pytest.mark.alike
@every_layer
@first_of("drop", [COUNT, 5], ids=["one batch", "and a shorter one"])
def test_images_labels_teacher_and_weights_have_one_partner_and_one_coefficient(
    make, tolerance, drop
):
    y, weight, logits = y_true(), np.arange(COUNT) + 1.0, teacher_logits()
    x, rows, weights = mixed(MixLabels(make(seed=3)), logits, y, weight, batch=drop)
    assert sorted(x) == ["inputs", "teacher_outputs"]
    assert {part.dtype.name for part in keras.tree.flatten([x, rows, weights])} == {"float32"}
    one_hot, p = np.eye(CLASSES)[y], softmax(logits.astype("float64"))
    shares = []
    for i, (j, c) in enumerate(partners(x["inputs"])):
        if c > 1.0 - 1e-4:
            continue  # mixed with itself, or hardly: the partner cannot be told
        # Of all that is not the image, exactly one coefficient.
        share = (weights[i] - weight[j]) / (weight[i] - weight[j])
        assert share == pytest.approx(c, abs=tolerance)
        np.testing.assert_allclose(
            rows[i], share * one_hot[i] + (1.0 - share) * one_hot[j], atol=1e-5
        )
        np.testing.assert_allclose(
            np.exp(x["teacher_outputs"][i]), share * p[i] + (1.0 - share) * p[j], atol=1e-5
        )
        shares.append(share)
    assert len(shares) >= 3 and np.ptp(shares) > 0.05


@pytest.mark.alike
def test_a_seed_gives_the_same_mixture_again():
    runs = [
        mixed(MixLabels(keras.layers.MixUp(alpha=0.8, seed=seed)), teacher_logits(), y_true())
        for seed in (7, 7, 8)
    ]
    for same in zip(*map(keras.tree.flatten, runs[:2]), strict=True):
        np.testing.assert_array_equal(*same)
    assert np.abs(runs[0][0]["inputs"] - runs[2][0]["inputs"]).max() > 0.1


@pytest.mark.alike
@first_of("k", [2, CLASSES])
def test_top_k_labels_are_mixed_as_the_distribution_they_stand_for(k):
    labels = top_k_labels(teacher_logits(), k)
    dense = spread(labels, CLASSES).astype("float32")

    def run(teacher, **kwargs):
        layer = keras.layers.MixUp(alpha=0.8, seed=3)
        return mixed(MixLabels(layer, **kwargs), teacher, y_true())[0]["teacher_outputs"]

    found = run(labels, num_classes=CLASSES)
    np.testing.assert_allclose(np.exp(found), np.exp(run(dense)), rtol=1e-5, atol=1e-7)
    half = {**labels, "log_probabilities": labels["log_probabilities"].astype("float16")}
    found = run(half, num_classes=CLASSES)
    np.testing.assert_allclose(np.exp(found).sum(-1), 1.0, rtol=1e-5)


def test_probabilities_are_mixed_as_their_logits():
    outputs = [
        mixed(MixLabels(keras.layers.MixUp(alpha=0.8, seed=3)), teacher)["teacher_outputs"]
        for teacher in (teacher_logits(), {"probabilities": softmax(teacher_logits())})
    ]
    np.testing.assert_allclose(*outputs, rtol=1e-4, atol=1e-5)


def test_a_certain_teacher_gives_finite_logits():
    certain = np.where(np.eye(COUNT, CLASSES) > 0, 1000.0, 0.0).astype("float32")
    x = mixed(MixLabels(keras.layers.MixUp(alpha=0.8, seed=3)), certain)
    assert np.isfinite(x["teacher_outputs"]).all()


@pytest.mark.alike
@pytest.mark.parametrize(
    "write",
    [lambda y: y[:, None], lambda y: np.eye(CLASSES)[y], lambda y: y.astype("uint8")],
    ids=["column", "rows", "uint8"],
)
def test_labels_may_be_written_in_several_ways(write):
    rows = [
        mixed(MixLabels(keras.layers.MixUp(alpha=0.8, seed=3)), teacher_logits(), y)[1]
        for y in (y_true(), write(y_true()))
    ]
    np.testing.assert_array_equal(*rows)


def test_images_of_bytes_are_mixed_and_the_index_is_left_out():
    images = np.full((COUNT, 4, 4, 3), 255, "uint8")
    x = mixed(
        MixLabels(keras.layers.MixUp(seed=3)), teacher_logits(), images=images, index=y_true()
    )
    assert sorted(x) == ["inputs", "teacher_outputs"]
    np.testing.assert_allclose(x["inputs"], 255.0, rtol=1e-6)


@pytest.mark.slow
def test_a_student_learns_digits_from_mixtures_of_them():
    images, labels = digits()
    logits = 8.0 * np.eye(10, dtype="float32")[labels]
    x = {"inputs": images, "teacher_outputs": logits}
    data = tf.data.Dataset.from_tensor_slices((x, labels)).shuffle(96, seed=1).batch(16)
    data = data.map(MixLabels(keras.layers.MixUp(alpha=0.2, seed=2)))
    dense = keras.layers.Dense
    student = [keras.Input((8, 8, 1)), keras.layers.Flatten(), dense(32, "relu"), dense(10)]
    student = keras.Sequential(student)
    model = distiller(
        student,
        compiled={
            "loss": keras.losses.CategoricalCrossentropy(from_logits=True),
            "optimizer": keras.optimizers.Adam(1e-2),
        },
    )
    model.fit(data, epochs=8, verbose=0)
    assert (inferred(student, images).argmax(-1) == labels).mean() > 0.8


# What is wrong.


@pytest.mark.parametrize("layer", [None, keras.layers.RandomFlip, "MixUp"])
def test_another_layer_is_refused(layer):
    with pytest.raises(TypeError, match=r"MixUp or keras.layers.CutMix. Received: layer="):
        MixLabels(layer)


def test_a_layer_in_half_precision_is_refused():
    with pytest.raises(ValueError, match=r"float32.*MixUp.*Received: layer of bfloat16"):
        MixLabels(keras.layers.MixUp(dtype="mixed_bfloat16"))


@pytest.mark.parametrize("wrong", [1, 2.5])
def test_a_number_of_classes_that_is_none_is_refused(wrong):
    with pytest.raises((TypeError, ValueError), match=r"`num_classes`.*Received: num_classes="):
        MixLabels(keras.layers.MixUp(), num_classes=wrong)


IMAGES, ANSWERS, Y = np.zeros((4, 8, 8, 1)), np.zeros((4, 5)), np.zeros(4, "int32")
TOP_K = top_k_labels(ANSWERS, 2)


@pytest.mark.alike
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ({"inputs": IMAGES[..., 0]}, Y, r"after `batch`.*shape \(None, 8, 8\)"),
        ({"inputs": {"a": IMAGES}}, Y, r"after `batch`"),
        ({"teacher_features": {"stage1": ANSWERS}}, Y, r"without `layers`.*\['stage1'\]"),
        ({"teacher_outputs": {"a": ANSWERS, "b": ANSWERS}}, Y, r"one softmax.*Received"),
        ({"teacher_outputs": ANSWERS[:, :1]}, Y, r"one softmax.*\(None, 1\)"),
        ({"teacher_outputs": TOP_K}, Y, r"give `num_classes`"),
        ({}, Y.astype("float32"), r"Labels must be integers.*float32"),
        ({}, {"a": Y}, r"labels of one output"),
        ({}, np.zeros((4, 6)), r"same classes.*Received: 6 classes, teacher_outputs=\(None, 5\)"),
    ],
)
def test_batches_that_cannot_be_mixed_are_refused(x, y, message):
    x = {"inputs": IMAGES, "teacher_outputs": ANSWERS, **x}
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(2)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        data.map(MixLabels(keras.layers.MixUp()))


@pytest.mark.parametrize(
    ("x", "received"), [(IMAGES, "SymbolicTensor"), ({"inputs": IMAGES}, r"\['inputs'\]")]
)
def test_data_without_a_teachers_answers_are_refused(x, received):
    data = tf.data.Dataset.from_tensor_slices((x, Y)).batch(2)
    with pytest.raises(ValueError, match=rf"goes after a cache.*Received: x={received}"):
        data.map(MixLabels(keras.layers.MixUp()))


def test_wrong_numbers_of_classes_are_refused():
    data = tf.data.Dataset.from_tensor_slices(({"inputs": IMAGES, "teacher_outputs": TOP_K}, Y))
    with pytest.raises(ValueError, match=r"k of at most.*Received"):
        MixLabels(keras.layers.MixUp(), num_classes=2)(
            {"inputs": IMAGES, "teacher_outputs": top_k_labels(ANSWERS, 3)}
        )
    rows = data.map(lambda x, y: (x, tf.one_hot(y, 6))).batch(2)
    with pytest.raises(ValueError, match=r"same classes.*Received: y=\(None, 6\).*=5"):
        rows.map(MixLabels(keras.layers.MixUp(), num_classes=5))


def test_a_label_that_is_no_class_stops_the_data():
    x = {"inputs": IMAGES, "teacher_outputs": ANSWERS}
    data = tf.data.Dataset.from_tensor_slices((x, Y + 5)).batch(2)
    with pytest.raises(tf.errors.InvalidArgumentError, match="classes from 0 to 4"):
        next(iter(data.map(MixLabels(keras.layers.MixUp()))))
