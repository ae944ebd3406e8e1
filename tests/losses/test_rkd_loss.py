import json

import keras
import numpy as np
import pytest
from contract import LossContract
from every_loss import assert_formula, draw, in_both_dtypes, run, two_seeds
from gradients import gradient
from variants import alike_but_first

from keras_kd.losses import RKDLoss

pytestmark = pytest.mark.core


def smooth_l1(x):
    x = np.abs(x)
    return np.where(x < 1.0, 0.5 * x**2, x - 0.5)


def relations(f):
    """Distances over their mean and cosines at i between j and k, by loops over the samples."""
    n = len(f)
    d = np.array([[np.linalg.norm(f[i] - f[j]) for j in range(n)] for i in range(n)])
    cosines = np.zeros((n, n, n))
    for i, j, k in np.ndindex(n, n, n):
        if d[i, j] > 0 and d[i, k] > 0:
            cosines[i, j, k] = (f[j] - f[i]) @ (f[k] - f[i]) / (d[i, j] * d[i, k])
    return (d / d[d > 0].mean() if (d > 0).any() else d), cosines


def rkd(teacher, student, distance_weight=25.0, angle_weight=50.0):
    """Park 2019, with the means over B^2 and B^3 of the authors' code; one share a sample."""
    (d_t, a_t), (d_s, a_s) = relations(teacher), relations(student)
    distance = smooth_l1(d_s - d_t).mean(axis=1)
    return distance_weight * distance + angle_weight * smooth_l1(a_s - a_t).mean(axis=(1, 2))


@in_both_dtypes
@two_seeds
@alike_but_first("widths", [(5, 3, 5), (4, 7, 2), (2, 3, 3)], ids=str)
def test_rkd_loss_is_the_papers_formula(widths, seed, dtype):
    batch, teacher_width, student_width = widths
    teacher, _ = draw((batch, teacher_width), seed)
    _, student = draw((batch, student_width), seed)
    loss = RKDLoss(dtype=dtype, reduction=None)
    assert_formula(loss, rkd(teacher, student), teacher, student, rounding=25.0)
    loss = RKDLoss(distance_weight=2.0, angle_weight=0.5, dtype=dtype, reduction=None)
    assert_formula(loss, rkd(teacher, student, 2.0, 0.5), teacher, student, rounding=2.0)


@pytest.mark.alike
def test_rkd_loss_of_a_right_angle_against_a_line():
    # Teacher: a right angle at the first point with legs of 3 and 4, so distances 3, 4, 5 of mean
    # 4. Student: a line of distances 1, 1, 2, of mean 4/3, with the first point in the middle.
    teacher, student = np.array([[0, 0], [3, 0], [0, 4.0]]), np.array([[0.0], [1.0], [-1.0]])
    # Differences 3/4 - 3/4, 4/4 - 3/4, 5/4 - 6/4, each of them twice among nine pairs.
    distance = 0.5 * 2 * (0.25**2 + 0.25**2) / 9
    assert run(RKDLoss(angle_weight=0.0), teacher, student) == pytest.approx(25.0 * distance)
    # Cosines 0 and -1 at the first point; 3/5 and 1 at the second; 4/5 and 1 at the third.
    angle = 2 * (0.5 + 0.5 * 0.4**2 + 0.5 * 0.2**2) / 27
    assert run(RKDLoss(distance_weight=0.0), teacher, student) == pytest.approx(50.0 * angle)


@pytest.mark.alike
@two_seeds
@pytest.mark.parametrize("side", ["teacher", "student"])
def test_rkd_loss_does_not_see_rotation_translation_and_scale(side, seed):
    teacher, student = draw((5, 4), seed)
    rng = np.random.default_rng(seed + 10)
    rotation, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    moved = {"teacher": teacher, "student": student}
    moved[side] = 3.7 * moved[side] @ rotation + 10.0 * rng.normal(size=4)
    loss = RKDLoss(reduction=None, dtype="float64")
    expected = run(loss, teacher, student)
    np.testing.assert_allclose(run(loss, *moved.values()), expected, rtol=2e-4)


def test_rkd_loss_far_from_the_origin_keeps_its_digits():
    # Distances by |x|^2 + |y|^2 - 2xy would keep none of them in float32.
    teacher, student = draw((5, 4))
    expected = rkd(teacher, student).mean()
    assert run(RKDLoss(), teacher + 1000.0, student - 1000.0) == pytest.approx(expected, rel=1e-2)


@two_seeds
def test_rkd_loss_permutes_with_the_batch(seed):
    teacher, student = draw((6, 4), seed)
    order = np.random.default_rng(seed).permutation(6)
    loss = RKDLoss(reduction=None)
    permuted = run(loss, teacher[order], student[order])
    np.testing.assert_allclose(permuted, run(loss, teacher, student)[order], rtol=1e-4)


def test_rkd_loss_is_finite_with_a_finite_gradient_where_points_coincide():
    teacher, student = draw((4, 3))
    some, all_ = student.copy(), np.ones((4, 3))
    some[1] = some[0]
    loss = RKDLoss(reduction=None)
    for t, s in [(teacher, some), (some, student), (teacher, all_), (all_, student), (all_, all_)]:
        np.testing.assert_allclose(run(loss, t, s), rkd(t, s), rtol=1e-4, atol=1e-5)
        slope = gradient(lambda z, t=t: RKDLoss()(t, z), s, "float32")
        assert np.isfinite(slope).all()
    assert np.abs(gradient(lambda z: RKDLoss()(teacher, z), some, "float32")).max() > 0.0


def test_rkd_loss_of_one_sample_is_0_with_gradient_0():
    teacher, student = draw((1, 3))
    assert run(RKDLoss(), teacher, student) == 0.0
    slope = gradient(lambda z: RKDLoss()(teacher, z), student, "float32")
    np.testing.assert_array_equal(slope, np.zeros((1, 3)))


@pytest.mark.parametrize("shape", [(2, 4, 3), (2, 4, 4, 3), (2,)], ids=str)
def test_rkd_loss_wants_vectors(shape):
    with pytest.raises(ValueError, match=r"vectors \(B, C\): tap the layer that pools.*student="):
        RKDLoss()(np.ones((2, 3)), np.ones(shape))


@pytest.mark.alike
@pytest.mark.parametrize("name", ["distance_weight", "angle_weight"])
def test_rkd_loss_refuses_negative_weights(name):
    with pytest.raises(ValueError, match=rf"`{name}` must be .* Received: {name}=-1"):
        RKDLoss(**{name: -1.0})


def test_rkd_loss_reloads_its_own_arguments():
    loss = RKDLoss(distance_weight=1.5, angle_weight=0.0)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    copy = keras.saving.deserialize_keras_object(config)
    assert (copy.distance_weight, copy.angle_weight, copy.weight) == (1.5, 0.0, 1.0)
    assert (RKDLoss().distance_weight, RKDLoss().angle_weight) == (25.0, 50.0)


class TestRKDLoss(LossContract):
    make = RKDLoss
    layers = {"pool": "pool"}
