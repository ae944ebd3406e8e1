import keras
import numpy as np
import pytest
from contract import LossContract, kd_distance
from every_loss import draw, in_both_dtypes, run, two_seeds
from gradients import gradient
from keras import ops
from models_for_tests import EAGER, examples, kd, net
from variants import alike_but_first

from keras_kd import Distiller
from keras_kd.losses import CTKDLoss

pytestmark = pytest.mark.core
ON_JAX = keras.backend.backend() == "jax"  # which would run eagerly without XLA


def temperature(a, low=1.0, high=21.0):
    """Li 2023, equation 5, as a range: T = low + (high - low) sigmoid(a)."""
    return low + (high - low) / (1.0 + np.exp(-a))


def strength(step, steps):
    """Li 2023, equation 8, from 0 to 1: it rises as a cosine and stays."""
    return 0.5 * (1.0 - np.cos(np.pi * min(step, steps) / steps))


def number(variable):
    return float(ops.convert_to_numpy(1.0 * variable))


def distiller(loss, **compiled):
    model = Distiller(net(3), net(5, seed=1), alpha=0.0, kd_loss=loss)
    model.compile(keras.optimizers.SGD(0.1), **{**EAGER, "jit_compile": ON_JAX, **compiled})
    return model


@in_both_dtypes
@two_seeds
@alike_but_first("shape", [(3, 4, 5), (1, 3), (4, 7)], ids=str)
def test_ctkd_is_hintons_formula_at_its_own_temperature(shape, seed, dtype):
    teacher, student = draw(shape, seed)
    for initial in (4.0, 1.5):
        loss = CTKDLoss(10, initial=initial, dtype=dtype, reduction=None)
        expected = kd(teacher, student, initial)
        value = run(loss, teacher, student, temperature=9.0)
        np.testing.assert_allclose(value, expected, rtol=1e-3, atol=1e-4)


def test_ctkd_starts_at_4_between_1_and_21_unless_told():
    loss = CTKDLoss(10)
    assert (loss.initial, loss.low, loss.high, loss.weight) == (4.0, 1.0, 21.0, 1.0)
    part = loss.make_part((None, 3), (None, 3))
    assert number(part(training=False)) == pytest.approx(4.0, rel=1e-6)
    assert temperature(number(part.a)) == pytest.approx(4.0, rel=1e-6)
    for a, bound in [(-100.0, 1.0), (100.0, 21.0)]:
        part.a.assign(a)
        assert number(part(training=False)) == pytest.approx(bound)


@alike_but_first("step", [5, 0, 1, 9, 10, 30])
def test_ctkd_reverses_the_gradient_as_a_cosine_of_the_step(step):
    # dT/da = (high - low) s (1 - s), times -strength.
    part = CTKDLoss(10, initial=6.0).make_part((None, 3), (None, 3))
    part.step.assign(step)
    share = 5.0 / 20.0
    x, y = np.ones((1, 1), "float32"), np.zeros((1, 1), "float32")

    class Answer(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.part = part

        def call(self, x, training=False):
            return x * self.part(training=training)

    model = keras.Sequential([keras.Input((1,)), Answer()])
    before = number(part.a)
    model.compile(keras.optimizers.SGD(1e-2), lambda y, given: given, **EAGER)
    model.fit(x, y, verbose=0)
    expected = -strength(step, 10) * 20.0 * share * (1.0 - share)
    assert (before - number(part.a)) / 1e-2 == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert number(part.step) == step + 1


@pytest.mark.alike
def test_ctkd_moves_its_temperature_where_the_loss_grows():
    # At full strength SGD climbs: a' = a + rate * dL/da, the slope of the values.
    model = distiller(CTKDLoss(7))
    part = model.output_terms[0].part
    part.step.assign(7)
    model.teacher.set_weights([5.0 * weight for weight in model.teacher.get_weights()])
    x, _ = examples(12)
    answers = [np.asarray(ops.convert_to_numpy(m(x))) for m in (model.teacher, model.student)]
    a = number(part.a)
    values = [kd(*answers, temperature(a + move)).mean() for move in (-1e-3, 1e-3)]
    slope = (values[1] - values[0]) / 2e-3
    model.fit(x, batch_size=12, verbose=0)
    assert abs(slope) > 1e-3
    assert number(part.a) - a == pytest.approx(0.1 * slope, rel=1e-2)


def test_ctkd_at_its_first_step_leaves_the_temperature_and_trains_the_student_as_kd():
    teacher, student = draw((3, 5))
    slope = gradient(lambda z: CTKDLoss(10)(teacher, z), student, "float32")
    expected = (
        (
            kd(teacher, student + 1e-4 * np.eye(5)[1], 4.0)
            - kd(teacher, student - 1e-4 * np.eye(5)[1], 4.0)
        )
        / 2e-4
        / 3
    )
    np.testing.assert_allclose(slope[:, 1], expected, rtol=1e-3, atol=1e-5)
    model = distiller(CTKDLoss(100))
    before = number(model.output_terms[0].part.a)
    model.fit(examples(12)[0], batch_size=12, verbose=0)
    assert number(model.output_terms[0].part.a) == before


@pytest.mark.parametrize("jit_compile", [ON_JAX, pytest.param(not ON_JAX, marks=pytest.mark.slow)])
def test_ctkd_counts_training_steps_alone_and_keeps_them_in_the_file(jit_compile, tmp_path):
    model = distiller(CTKDLoss(5), run_eagerly=False, jit_compile=jit_compile)
    model.validate_with_teacher = True
    x, _ = examples(12)
    model.fit(x, batch_size=4, epochs=2, validation_data=(x, None), verbose=0)
    part = model.output_terms[0].part
    assert number(part.step) == 6.0
    assert number(part.a) != pytest.approx(np.log(3.0 / 17.0), abs=1e-6)
    model.save(tmp_path / "distiller.keras")
    again = keras.saving.load_model(tmp_path / "distiller.keras").output_terms[0].part
    assert (number(again.step), number(again.a)) == (6.0, number(part.a))
    assert again.reversal_steps == 5
    held = {id(v) for v in model.student.variables}
    assert not held & {id(v) for v in part.variables}


def test_ctkd_is_finite_at_a_logit_gap_of_1000():
    teacher, student = np.array([[1000.0, 0.0]]), np.array([[0.0, 1000.0]])
    loss = CTKDLoss(10)
    assert run(loss, teacher, student) == pytest.approx(4000.0, rel=1e-5)
    slope = gradient(lambda z: loss(teacher, z), student, "float32")
    np.testing.assert_allclose(slope, [[-4.0, 4.0]], rtol=1e-5)


@pytest.mark.alike
@two_seeds
def test_ctkd_does_not_see_a_shift_of_the_logits(seed):
    teacher, student = draw((3, 5), seed)
    loss = CTKDLoss(10, dtype="float64")
    shifted = run(loss, teacher + 7.0, student - 30.0)
    assert shifted == pytest.approx(run(loss, teacher, student), rel=1e-5)


def test_ctkd_of_masked_tokens_is_that_of_the_others():
    teacher, student = draw((2, 3, 4))
    mask = np.array([[True, True, False], [True, False, False]])
    expected = kd(teacher[mask], student[mask], 4.0).mean()
    assert run(CTKDLoss(10), teacher, student, mask=mask) == pytest.approx(expected, rel=1e-4)


@pytest.mark.alike
@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"reversal_steps": 0}, ValueError, "`reversal_steps` must be a whole number"),
        ({"reversal_steps": 1.5}, TypeError, "`reversal_steps` must be a whole number"),
        ({"low": 0.0}, ValueError, "`low` must be .* above 0"),
        ({"high": 1.0}, ValueError, "`high` must be .* above 1"),
        ({"initial": 1.0}, ValueError, "`initial` must be .* above 1"),
        ({"initial": 21.0}, ValueError, "`initial` must be between .* Received: initial=21"),
    ],
)
def test_wrong_arguments_are_refused(wrong, error, message):
    with pytest.raises(error, match=message):
        CTKDLoss(**{"reversal_steps": 10, **wrong})


class TestCTKDLoss(LossContract):
    # At a temperature that stays: the loss' own grows so that its value does.
    distance = kd_distance

    def make(**kwargs):
        return CTKDLoss(10, **kwargs)

    def test_its_own_arguments_are_kept(self):
        copy = CTKDLoss.from_config(CTKDLoss(9, initial=3.0, low=2.0, high=8.0).get_config())
        assert (copy.reversal_steps, copy.initial, copy.low, copy.high) == (9, 3.0, 2.0, 8.0)
