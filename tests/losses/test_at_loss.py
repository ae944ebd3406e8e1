import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from every_loss import (
    assert_formula,
    draw,
    every_map_shape,
    in_both_dtypes,
    properties,
    run,
    two_seeds,
)
from formulas import per_sample, positions
from gradients import assert_gradient, gradient
from hypothesis import given
from hypothesis import strategies as st
from variants import alike_but_first

from keras_kd.losses import ATLoss

pytestmark = pytest.mark.core


def attention_transfer(teacher, student, p):
    """Zagoruyko & Komodakis: mean of (Q_s / |Q_s| - Q_t / |Q_t|)^2, Q the mean of |F|^p."""
    maps = [positions((np.abs(value) ** p).mean(axis=-1)) for value in (teacher, student)]
    return per_sample((maps[1] - maps[0]) ** 2)


@in_both_dtypes
@two_seeds
@every_map_shape
@alike_but_first("p", [2.0, 1.0, 4.0])
def test_at_loss_is_the_papers_formula(p, shape, seed, dtype):
    teacher, student = draw(shape, seed)
    loss = ATLoss(p=p, dtype=dtype, reduction=None)
    assert_formula(loss, attention_transfer(teacher, student, p), teacher, student)


@pytest.mark.alike
def test_at_loss_of_two_maps_that_look_elsewhere():
    # Unit maps (1, 0, 0, 0) and (0, 1, 0, 0) differ by a square of 1 at two of four positions.
    teacher, student = np.zeros((1, 2, 2, 1)), np.zeros((1, 2, 2, 1))
    teacher[0, 0, 0], student[0, 0, 1] = 3.0, 5.0
    assert run(ATLoss(), teacher, student) == pytest.approx(0.5)


@pytest.mark.alike
def test_at_loss_compares_models_of_different_width():
    teacher, _ = draw((2, 3, 4, 8))
    _, student = draw((2, 3, 4, 5))
    expected = attention_transfer(teacher, student, 2.0).mean()
    assert run(ATLoss(), teacher, student) == pytest.approx(expected, rel=1e-5)


@pytest.mark.alike
@properties
@given(
    hnp.arrays("float64", (2, 3, 2), elements=st.floats(0.01, 10.0)),
    st.floats(1e-3, 1e3),
    st.floats(1e-3, 1e3),
)
def test_at_loss_does_not_see_how_loud_a_model_is(values, scale_t, scale_s):
    loss = ATLoss()
    student = values[:, ::-1]
    scaled = run(loss, scale_t * values, scale_s * student)
    # float32, of differences of unit vectors
    assert scaled == pytest.approx(run(loss, values, student), rel=1e-4, abs=1e-6)


@pytest.mark.alike
@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_at_loss_is_zero_for_a_student_that_equals_its_teacher(p):
    teacher, _ = draw((2, 3, 3, 4))
    # Compiled, the two unit vectors may differ by a rounding, whose square is 1e-14.
    assert run(ATLoss(p=p), teacher, teacher) == pytest.approx(0.0, abs=1e-12)
    slope = gradient(lambda f: ATLoss(p=p)(teacher, f), teacher, "float32")
    np.testing.assert_allclose(slope, np.zeros(teacher.shape), atol=1e-7)


@alike_but_first("p", [2.0, 1.0, 4.0])
def test_at_loss_of_a_dead_map_is_finite_with_a_finite_gradient(p):
    # The dead map stays zero; the other has squares that sum to 1, over 9 positions.
    teacher, _ = draw((1, 3, 3, 4))
    dead = np.zeros(teacher.shape)
    loss = ATLoss(p=p)
    assert run(loss, teacher, dead) == pytest.approx(1.0 / 9.0, rel=1e-5)
    assert run(loss, dead, teacher) == pytest.approx(1.0 / 9.0, rel=1e-5)
    assert run(loss, dead, dead) == 0.0
    for target in (teacher, dead):
        slope = gradient(lambda f, target=target: loss(target, f), dead, "float32")
        # At p 1 the slope of |F| at 0 is the backend's choice: 0 on TensorFlow, 1 on JAX.
        assert np.abs(slope).max() <= (1.0 if p == 1.0 else 0.0)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0])
def test_at_loss_gradient_is_finite_where_relu_left_zeros(p):
    teacher, student = draw((2, 3, 3, 4))
    student = np.maximum(student, 0.0)
    slope = gradient(lambda f: ATLoss(p=p)(teacher, f), student, "float32")
    assert np.isfinite(slope).all()
    assert np.abs(slope).max() > 0.0


@pytest.mark.parametrize("p", [1.0, 3.0])
def test_at_loss_gradient_at_another_power_equals_central_differences(p):
    teacher, student = draw((2, 2, 2, 3))
    loss = ATLoss(p=p, dtype="float64")
    assert_gradient(lambda f: loss(teacher, f), student)


def test_at_loss_with_a_mask_of_frames_leaves_whole_frames_out():
    # (B, T, H, W, C) with as many frames as columns: a mask (B, T) must not land on the columns.
    teacher, student = draw((2, 3, 2, 3, 2))
    mask = np.array([[True, True, False], [True, False, False]])
    expected = [
        attention_transfer(teacher[i : i + 1, :frames], student[i : i + 1, :frames], 2.0)[0]
        for i, frames in enumerate([2, 1])
    ]
    each = run(ATLoss(reduction=None), teacher, student, mask=mask)
    np.testing.assert_allclose(each, expected, rtol=1e-5)


@pytest.mark.alike
def test_at_loss_needs_positions():
    with pytest.raises(ValueError, match=r"needs maps .* Received: student=\(2, 3\)"):
        ATLoss()(np.ones((2, 3)), np.ones((2, 3)))


@pytest.mark.alike
def test_at_loss_refuses_maps_of_different_resolution():
    with pytest.raises(ValueError, match=r"one shape.*Received: teacher=\(2, 4, 4\)"):
        ATLoss()(np.ones((2, 4, 4, 8)), np.ones((2, 2, 2, 8)))


@pytest.mark.alike
@pytest.mark.parametrize("wrong", [0.0, 0.5, -2.0, np.nan, np.inf])
def test_a_power_below_1_is_refused(wrong):
    with pytest.raises(ValueError, match=r"`p` must be .* Received: p="):
        ATLoss(p=wrong)


@pytest.mark.alike
def test_at_loss_weighs_1000_unless_told():
    assert ATLoss().weight == 1000.0
    assert ATLoss(weight=1).weight == 1.0
