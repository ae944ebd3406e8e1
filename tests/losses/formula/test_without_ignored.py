import keras
import numpy as np
import pytest
from every_loss import draw, run
from gradients import gradient
from keras import layers
from models_for_tests import EAGER, kd, sgd

from keras_kd import Distiller
from keras_kd.losses import (
    BinaryKDLoss,
    CWDLoss,
    DKDLoss,
    FSPLoss,
    KDLoss,
    LogitsMSELoss,
)

pytestmark = pytest.mark.core

SHAPE = (3, 4, 5, 3)  # B, H, W, classes


def maps(seed=0):
    """Teacher, student, labels with about a third of the pixels at 255."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, SHAPE[:-1])
    labels[rng.random(SHAPE[:-1]) < 0.35] = 255
    assert 0 < (labels == 255).sum() < labels.size
    return *draw(SHAPE, seed), labels


@pytest.mark.alike
@pytest.mark.parametrize("dtype", ["int32", "uint8", "float32"])
@pytest.mark.parametrize("make", [KDLoss, BinaryKDLoss, LogitsMSELoss, DKDLoss])
def test_ignored_pixels_leave_the_mean_whatever_is_in_them(make, dtype):
    teacher, student, labels = maps()
    keep = labels != 255
    # `labels` go to DKD alone, which asks for them: there 255 is no class of its formula.
    context = {"labels": labels[keep]} if make is DKDLoss else {}
    expected = run(make(), teacher[keep], student[keep], **context)
    for garbage in (0.0, 1e4, np.nan):
        student[~keep] = garbage
        found = run(make(ignore_class=255), teacher, student, labels=labels.astype(dtype))
        assert found == pytest.approx(expected, rel=1e-5)


def test_the_labels_may_have_an_axis_of_size_1():
    teacher, student, labels = maps()
    loss = KDLoss(ignore_class=255)
    expected = run(loss, teacher, student, labels=labels)
    assert run(loss, teacher, student, labels=labels[..., None]) == expected


def test_minus_one_is_ignored_as_255_is():
    teacher, student, labels = maps()
    expected = run(KDLoss(ignore_class=255), teacher, student, labels=labels)
    other = np.where(labels == 255, -1, labels)
    assert run(KDLoss(ignore_class=-1), teacher, student, labels=other) == expected


def test_ignored_pixels_leave_the_softmax_of_a_loss_over_positions():
    teacher, student, labels = maps()
    keep = labels != 255
    expected = run(CWDLoss(), teacher, student, mask=keep)
    assert run(CWDLoss(ignore_class=255), teacher, student, labels=labels) == expected
    assert run(CWDLoss(), teacher, student) != pytest.approx(expected, rel=1e-3)


def test_ignored_pixels_get_no_gradient():
    teacher, student, labels = maps()
    for make in (KDLoss, CWDLoss):
        loss = make(ignore_class=255)
        slope = gradient(lambda z, loss=loss: loss(teacher, z, labels=labels), student, "float32")
        assert not slope[labels == 255].any()
        assert (np.abs(slope[labels != 255]).max(axis=-1) > 0.0).all()


def test_a_mask_and_an_ignored_label_both_take_out():
    teacher, student, labels = maps()
    for mask in (np.array([True, False, True]), np.random.default_rng(3).random((3, 4, 5)) < 0.5):
        both = (labels != 255) & mask.reshape(mask.shape + (1,) * (3 - mask.ndim))
        expected = run(KDLoss(), teacher[both], student[both])
        found = run(KDLoss(ignore_class=255), teacher, student, labels=labels, mask=mask)
        assert found == pytest.approx(expected, rel=1e-5)


def test_weights_of_pixels_weigh_what_is_left():
    teacher, student, labels = maps()
    weights = np.random.default_rng(4).random(SHAPE[:-1])
    keep = labels != 255
    each = run(KDLoss(reduction=None), teacher, student)
    expected = (each * weights)[keep].sum() / keep.sum()
    found = run(KDLoss(ignore_class=255), teacher, student, weights, labels=labels)
    assert found == pytest.approx(expected, rel=1e-5)


def test_nothing_but_ignored_pixels_is_0_and_not_nan():
    teacher, student, labels = maps()
    for make in (KDLoss, CWDLoss):
        loss = make(ignore_class=255)
        assert run(loss, teacher, student, labels=np.full_like(labels, 255)) == 0.0


def test_without_labels_nothing_is_ignored():
    teacher, student, _ = maps()
    assert run(KDLoss(ignore_class=255), teacher, student) == run(KDLoss(), teacher, student)


def segmenter(seed, width=4):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((6, 6, 2))
    hidden = layers.Conv2D(width, 3, padding="same", activation="tanh", name="hidden")(inputs)
    return keras.Model(inputs, layers.Conv2D(3, 1, name="logits")(hidden))


@pytest.mark.alike
def test_a_distiller_leaves_the_ignored_pixels_out_on_both_sides():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 6, 6, 2)).astype("float32")
    y = rng.integers(0, 3, (4, 6, 6))
    y[:, 2:4] = 255
    student, teacher = segmenter(0), segmenter(1)
    keep = y != 255
    z_t, z_s = (model.predict(x, verbose=0) for model in (teacher, student))
    on_maps = CWDLoss(layers={"logits": "logits"}, ignore_class=255)
    model = Distiller(
        student,
        teacher,
        kd_loss=KDLoss(ignore_class=255),
        feature_losses=[on_maps],
        validate_with_teacher=True,
    )
    labels_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)
    model.compile(sgd(0.1), labels_loss, **EAGER)
    found = model.evaluate(x, y, return_dict=True, verbose=0)
    assert found["kd_loss"] == pytest.approx(kd(z_t[keep], z_s[keep], 4.0).mean(), rel=1e-3)
    assert found["cwd_loss"] == pytest.approx(run(CWDLoss(), z_t, z_s, mask=keep), rel=1e-3)
    history = model.fit(x, y, epochs=2, verbose=0).history
    assert history["kd_loss"][1] < history["kd_loss"][0]


@pytest.mark.alike
def test_an_ignore_label_that_is_a_class_is_refused_before_training():
    for wrong in (0, 2):
        for loss in (KDLoss(ignore_class=wrong), CWDLoss(ignore_class=wrong)):
            with pytest.raises(ValueError, match=rf"classes 0 to 2.*ignore_class={wrong}"):
                Distiller(segmenter(0), segmenter(1), kd_loss=loss)
    teacher, student, labels = maps()
    with pytest.raises(ValueError, match=r"kd_loss: `ignore_class` must be no class"):
        KDLoss(ignore_class=1)(teacher, student, labels=labels)


@pytest.mark.alike
@pytest.mark.parametrize(
    "labels",
    [np.zeros((3, 4)), np.zeros((3, 4, 6)), np.zeros(SHAPE), {"a": np.zeros((3, 4, 5))}],
    ids=["too few axes", "another size", "one-hot", "of two outputs"],
)
def test_labels_that_are_not_one_number_a_pixel_are_refused(labels):
    teacher, student, _ = maps()
    with pytest.raises(ValueError, match=r"one a position.*Received: labels=.*student=\(3, 4, 5"):
        KDLoss(ignore_class=255)(teacher, student, labels=labels)


@pytest.mark.alike
@pytest.mark.parametrize("wrong", ["255", 255.0, True, [255]])
def test_an_ignore_class_that_is_no_whole_number_is_refused(wrong):
    with pytest.raises(TypeError, match=r"`ignore_class` must be a whole number.*Received: "):
        KDLoss(ignore_class=wrong)


def test_a_loss_over_all_layers_at_once_has_no_pixels_to_ignore():
    joint = [loss for loss in (FSPLoss,) if loss.joint]
    assert joint
    with pytest.raises(ValueError, match=r"compares all its layers at once.*ignore_class=255"):
        joint[0](layers={"hidden": "hidden"}, ignore_class=255)


@pytest.mark.alike
def test_the_ignored_class_is_part_of_the_config_and_of_a_copy():
    loss = KDLoss(ignore_class=-1)
    assert KDLoss.from_config(loss.get_config()).ignore_class == -1
    assert loss.with_layers({"a": "b"}).ignore_class == -1
    assert KDLoss().get_config()["ignore_class"] is None
