import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from every_loss import assert_formula, draw, every_shape, in_both_dtypes, properties, run, two_seeds
from formulas import per_sample
from gradients import gradient
from hypothesis import given
from hypothesis import strategies as st

from keras_kd.losses import CosineFeatureLoss

pytestmark = pytest.mark.core

features = hnp.arrays("float64", (2, 3), elements=st.floats(0.1, 10.0))


def cosine_distance(teacher, student):
    """DistilBERT: 1 - cos over channels, the mean over positions."""
    norms = np.linalg.norm(teacher, axis=-1) * np.linalg.norm(student, axis=-1)
    return per_sample(1.0 - (teacher * student).sum(axis=-1) / norms)


@in_both_dtypes
@two_seeds
@every_shape
def test_cosine_loss_is_one_minus_the_cosine(shape, seed, dtype):
    teacher, student = draw(shape, seed)
    loss = CosineFeatureLoss(dtype=dtype, reduction=None)
    assert_formula(loss, cosine_distance(teacher, student), teacher, student)


@pytest.mark.parametrize(
    ("student", "expected"),
    [([5.0, 0.0], 0.0), ([0.0, 3.0], 1.0), ([-1.0, 0.0], 2.0), ([1.0, 1.0], 1.0 - 0.5**0.5)],
)
def test_cosine_loss_of_known_angles(student, expected):
    # 0, 90, 180 and 45 degrees from the teacher's direction.
    loss = run(CosineFeatureLoss(), np.array([[2.0, 0.0]]), np.array([student]))
    assert loss == pytest.approx(expected, abs=1e-6)


@pytest.mark.alike
@properties
@given(features, features, st.floats(1e-9, 1e9), st.floats(1e-9, 1e9))
def test_cosine_loss_does_not_see_lengths(teacher, student, scale_t, scale_s):
    loss = CosineFeatureLoss()
    scaled = run(loss, scale_t * teacher, scale_s * student)
    assert scaled == pytest.approx(run(loss, teacher, student), abs=1e-6)


@properties
@given(features, features)
def test_cosine_loss_lies_between_0_and_2(teacher, student):
    loss = CosineFeatureLoss(reduction=None)
    for sign in (1.0, -1.0):
        each = run(loss, teacher, sign * student)
        assert (each >= -1e-6).all()
        assert (each <= 2.0 + 1e-6).all()


@pytest.mark.alike
def test_cosine_loss_is_zero_for_a_student_that_equals_its_teacher():
    teacher, _ = draw((3, 4, 5))
    assert run(CosineFeatureLoss(), teacher, teacher) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("shape", [(2, 3), (2, 4, 3)])
def test_a_dead_vector_has_cosine_0_and_a_gradient_of_ordinary_size(shape):
    # A row of zeros behind a ReLU: keras.ops.normalize gives NaN on JAX, 1e7 on TensorFlow.
    teacher, student = draw(shape)
    student[0] = 0.0
    each = run(CosineFeatureLoss(reduction=None), teacher, student)
    assert each[0] == 1.0
    slope = gradient(lambda f: CosineFeatureLoss()(teacher, f), student, "float32")
    assert np.isfinite(slope).all()
    assert np.abs(slope).max() < 10.0
    dead = run(CosineFeatureLoss(reduction=None), student, student)
    assert dead[0] == 1.0


@pytest.mark.alike
def test_cosine_loss_refuses_features_of_different_width():
    with pytest.raises(ValueError, match=r"one shape.*Received: teacher=\(2, 8\), student=\(2, 4"):
        CosineFeatureLoss()(np.ones((2, 8)), np.ones((2, 4)))
