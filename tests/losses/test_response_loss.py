import keras
import numpy as np
import pytest
from every_loss import FROM_PROBABILITIES, draw, every_response_loss, run, some_alike
from formulas import sigmoid, softmax
from gradients import gradient, rounding
from keras import activations, ops
from variants import alike_but_first

from keras_kd.losses import KDLoss, RegressionLoss
from keras_kd.losses.response_loss import ResponseLoss

pytestmark = pytest.mark.core

from_probabilities = pytest.mark.parametrize("cls", some_alike(FROM_PROBABILITIES))
FLAGS = ("teacher_from_logits", "student_from_logits")
COMBINATIONS = [(False, False), (True, True), (True, False), (False, True)]


def activated(cls, logits):
    """Probabilities as plain arrays, of which Keras knows no logits."""
    return softmax(logits) if cls.activation == "softmax" else sigmoid(logits)


@alike_but_first("from_logits", COMBINATIONS)
@from_probabilities
def test_probabilities_distil_as_their_logits_do(cls, from_logits):
    logits = draw((3, 4, 5))
    given = [
        values if is_logits else activated(cls, values)
        for values, is_logits in zip(logits, from_logits, strict=True)
    ]
    declared = cls(dtype="float64", **dict(zip(FLAGS, from_logits, strict=True)))
    # Logits are those of probabilities up to a shift, which no softmax sees, nor a sigmoid has.
    expected = run(cls(dtype="float64"), *logits)
    assert run(declared, *given) == pytest.approx(expected, rel=rounding(1e-10))


@alike_but_first("from_logits", COMBINATIONS)
@every_response_loss
def test_the_distiller_can_say_what_the_models_give_and_is_overruled_by_the_loss(cls, from_logits):
    logits = [ops.array(values, "float32") for values in draw((3, 5))]
    activation = getattr(activations, cls.activation)
    given = [
        values if is_logits else activation(values)
        for values, is_logits in zip(logits, from_logits, strict=True)
    ]
    kinds = dict(zip(FLAGS, from_logits, strict=True))
    expected = run(cls(), *logits)
    assert run(cls(), *given, **kinds) == pytest.approx(expected, rel=1e-5)
    wrong = {flag: not kind for flag, kind in kinds.items()}
    assert run(cls(**kinds), *given, **wrong) == pytest.approx(expected, rel=1e-5)


@every_response_loss
def test_keras_activations_keep_logits_so_that_a_gap_of_1000_stays_exact(cls):
    teacher = ops.array([[1000.0, 0.0]])
    student = ops.array([[0.0, 1000.0]])
    activation = getattr(activations, cls.activation)
    loss = cls(teacher_from_logits=False, student_from_logits=False)
    expected = run(cls(), teacher, student)
    assert run(loss, activation(teacher), activation(student)) == pytest.approx(expected, rel=1e-6)
    if keras.backend.backend() == "jax":
        return  # what JAX differentiates carries no attributes, so Keras keeps no logits there
    slope = gradient(lambda z: loss(activation(teacher), activation(z)), student, "float32")
    plain = gradient(lambda z: cls()(teacher, z), student, "float32")
    np.testing.assert_allclose(slope, plain, rtol=1e-5)  # float32
    assert np.abs(slope).max() > 0.1


@from_probabilities
def test_probabilities_of_exactly_0_and_1_are_finite_with_a_finite_gradient(cls):
    certain, wrong = np.array([[1.0, 0.0, 0.0]]), np.array([[0.0, 1.0, 0.0]])
    loss = cls(teacher_from_logits=False, student_from_logits=False)
    assert run(loss, certain, wrong) > 10.0
    slope = gradient(lambda p: loss(certain, p), wrong, "float32")
    assert np.isfinite(slope).all()


@from_probabilities
def test_a_student_that_gives_small_probabilities_gets_the_gradient_of_its_logits(cls):
    # The chain rule through the activation gives back what logits get.
    teacher, student = draw((2, 4))
    loss = cls(student_from_logits=False, dtype="float64")

    def through_probabilities(z):
        if cls.activation == "softmax":
            e = ops.exp(z)
            return loss(teacher, e / ops.sum(e, axis=-1, keepdims=True))
        return loss(teacher, 1.0 / (1.0 + ops.exp(-z)))

    plain = gradient(lambda z: cls(dtype="float64")(teacher, z), student)
    slope = gradient(through_probabilities, student)
    np.testing.assert_allclose(slope, plain, rtol=10 * rounding(1e-10))


@pytest.mark.alike
@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("wrong", ["yes", 1, 0.5])
@every_response_loss
def test_a_flag_that_is_neither_true_nor_false_is_refused(cls, flag, wrong):
    with pytest.raises(ValueError, match=rf"`{flag}` must be .* Received: {flag}="):
        cls(**{flag: wrong})


@pytest.mark.alike
@pytest.mark.parametrize(
    ("teacher", "student"),
    [((4, 3), (4, 2)), ((4, 1), (4, 3)), ((2, 5, 3), (2, 4, 3)), ((4, 3), (4,)), ((1, 3), (4, 3))],
)
@every_response_loss
def test_outputs_of_different_shape_are_refused(cls, teacher, student):
    with pytest.raises(ValueError, match=r"one shape.*Received: teacher=.*student="):
        cls()(np.ones(teacher), np.ones(student))


@from_probabilities
def test_values_that_say_that_they_are_probabilities_are_taken_for_it(cls):
    teacher, student = draw((3, 4))
    said = {"probabilities": activated(cls, teacher)}
    loss = cls(dtype="float64")
    assert run(loss, said, student) == pytest.approx(
        run(loss, teacher, student), rel=rounding(1e-10)
    )
    # The Distiller takes what travels with the data for logits, unless it says otherwise.
    found = run(loss, said, student, teacher_from_logits=True)
    # JAX compiles one of them whole and the other not: their last bits may differ.
    assert found == pytest.approx(run(loss, said, student), rel=rounding(1e-10))


def test_a_loss_on_real_values_takes_probabilities_as_they_are():
    teacher, student = draw((3, 4))
    expected = run(RegressionLoss(), softmax(teacher), student)
    assert run(RegressionLoss(), {"probabilities": softmax(teacher)}, student) == expected


def test_a_users_response_loss_receives_logits_also_of_probabilities():
    class FirstLogitMargin(ResponseLoss):
        def call(self, teacher_value, student_value):
            return student_value[..., 0] - student_value[..., 1]

    _, student = draw((3, 2))
    loss = FirstLogitMargin(student_from_logits=False, reduction=None)
    np.testing.assert_allclose(
        run(loss, student, softmax(student)), student[:, 0] - student[:, 1], rtol=1e-4
    )


@pytest.mark.alike
def test_logits_that_say_that_they_are_probabilities_are_refused():
    teacher, student = draw((3, 4))
    with pytest.raises(ValueError, match=r"declared to return logits.*teacher_from_logits=True"):
        KDLoss(teacher_from_logits=True)({"probabilities": softmax(teacher)}, student)
