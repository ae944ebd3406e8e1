"""What `keras.distillation` gets wrong and is right here: rows 1 to 7 of the project's list."""

import keras
import numpy as np
import pytest
from models_for_tests import (
    COMPILED,
    EAGER,
    ONE,
    distiller,
    examples,
    inferred,
    kd,
    largest_move,
    linear,
    log_softmax,
    logs,
    net,
    normalized_net,
    numbers,
    scores,
    sgd,
    softmax,
)
from variants import alike_but_first, first_of

from keras_kd import Distiller
from keras_kd.losses import FitNetLoss, RegressionLoss, SoftCrossEntropyLoss

core = pytest.mark.core


# Row 1


@pytest.mark.alike
@core
@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_the_loss_is_the_divergence_of_softened_distributions(temperature):
    x, y = examples(10)
    student, teacher = net(), net(9, seed=1)
    model = distiller(
        student, teacher, temperature=temperature, validate_with_teacher=True, compiled=EAGER
    )
    by_hand = kd(inferred(teacher, x), inferred(student, x), temperature).mean()
    # Softened logits differ by little: float32 leaves a few units of T^2 * 6e-8.
    error = 1e-7 * temperature**2 + 1e-5 * by_hand
    assert logs(model, x, y)["kd_loss"] == pytest.approx(by_hand, abs=error)


@pytest.mark.alike
@core
def test_shifting_the_logits_changes_nothing():
    values = [
        logs(
            distiller(
                scores([1.0, 2.0, 5.0]),
                teacher,
                alpha=0.0,
                validate_with_teacher=True,
                compiled=EAGER,
            ),
            ONE,
            np.zeros(1),
        )["kd_loss"]
        for teacher in (scores([4.0, 0.0, 1.0]), scores([104.0, 100.0, 101.0]))
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    assert values[0] > 0.1


@core
def test_the_loss_is_zero_for_equal_distributions_only():
    student = scores([1.0, 2.0, 5.0])
    same, other = scores([0.0, 1.0, 4.0]), scores([1.0, 2.0, 5.5])
    values = [
        logs(
            distiller(student, teacher, validate_with_teacher=True, compiled=EAGER),
            ONE,
            np.zeros(1),
        )["kd_loss"]
        for teacher in (same, other)
    ]
    assert abs(values[0]) < 1e-6
    assert values[1] > 1e-3


@core
def test_a_student_of_a_good_teacher_becomes_as_good():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2)).astype("float32")
    teacher = linear([[6.0, -6.0, 0.0], [0.0, 0.0, 6.0]])
    taught = inferred(teacher, x).argmax(-1)
    student = net(8, features=2)
    # A hundred steps: to trace them takes less than to run each eagerly.
    compiled = {"optimizer": keras.optimizers.Adam(0.03), **COMPILED}
    model = distiller(student, teacher, alpha=0.0, compiled=compiled)
    model.fit(x, batch_size=50, epochs=25, verbose=0)
    assert np.mean(inferred(student, x).argmax(-1) == taught) > 0.95


# Row 2


@pytest.mark.alike
@core
@pytest.mark.parametrize("gap", [16.0, 100.0, 1000.0])
def test_loss_and_gradient_are_exact_at_any_gap_between_logits(gap):
    student, teacher = scores([gap, 0.0, 0.0]), scores([0.0, gap, 0.0])
    z_s, z_t = np.array([gap, 0.0, 0.0]), np.array([0.0, gap, 0.0])
    model = distiller(
        student, teacher, alpha=0.0, temperature=1.0, compiled={"optimizer": sgd(1.0)}
    )
    history = model.fit(ONE, verbose=0).history
    assert history["loss"][0] == pytest.approx(kd(z_t, z_s, 1.0), rel=1e-5)
    # The gradient by logits of KL is softmax(z_s) - softmax(z_t).
    np.testing.assert_allclose(
        numbers(student)[0][0], z_s - (softmax(z_s) - softmax(z_t)), rtol=1e-6, atol=1e-6
    )


@core
def test_float16_logits_give_finite_steps():
    student = linear([[12.0, -12.0, 0.0]], dtype="mixed_float16")
    teacher = linear([[-12.0, 12.0, 0.0]], dtype="mixed_float16")
    optimizer = keras.optimizers.LossScaleOptimizer(sgd(1.0), initial_scale=1.0)
    model = distiller(
        student, teacher, alpha=0.0, temperature=1.0, compiled={"optimizer": optimizer}
    )
    history = model.fit(ONE, verbose=0).history
    assert history["loss"][0] == pytest.approx(24.0, rel=1e-3)
    np.testing.assert_allclose(numbers(student)[0][0], [11.0, -11.0, 0.0], atol=2e-3)


# Row 3


@pytest.mark.alike
@core
def test_soft_cross_entropy_never_falls_below_the_teachers_entropy():
    z_t = np.array([3.0, 0.0, -1.0])
    entropy = -(softmax(z_t) * log_softmax(z_t)).sum()
    model = distiller(
        scores([0.0, 0.0, 0.0]),
        scores(z_t),
        alpha=0.0,
        kd_loss=SoftCrossEntropyLoss(),
        compiled={"optimizer": sgd(1.0), **COMPILED},
    )
    x = np.ones((200, 1), "float32")
    losses = [model.fit(x, batch_size=1, verbose=0).history["kd_loss"][0], logs_at_end(model, x)]
    assert losses[0] > losses[1]
    assert losses[1] == pytest.approx(entropy, abs=1e-3)


def logs_at_end(model, x):
    model.optimizer.learning_rate = 0.0
    return model.fit(x[:1], batch_size=1, verbose=0).history["kd_loss"][0]


# Row 4


@pytest.mark.alike
@core
@first_of(
    "weights", [{"sample_weight": np.zeros(12)}, {"class_weight": dict.fromkeys(range(3), 0.0)}]
)
def test_weights_of_zero_give_zero_loss_and_no_movement(weights):
    x, y = examples(12)
    student = net()
    before = numbers(student)
    model = distiller(
        student, net(7, seed=1), feature_losses=[FitNetLoss(layers={"hidden": "hidden"})]
    )
    history = model.fit(x, y, batch_size=4, verbose=0, **weights).history
    assert history["loss"] == history["kd_loss"] == history["fit_net_loss"] == [0.0]
    assert largest_move(student, before) == 0.0


@core
def test_sample_weights_scale_every_term():
    x, y = examples(12)
    weights = np.random.default_rng(1).uniform(0, 2, 12)
    student, teacher = net(), net(9, seed=1)
    z_s, z_t = inferred(student, x), inferred(teacher, x)
    model = distiller(student, teacher, alpha=0.3, validate_with_teacher=True)
    found = logs(model, x, y, sample_weight=weights, batch_size=12)
    assert found["kd_loss"] == pytest.approx((weights * kd(z_t, z_s, 4.0)).mean(), rel=1e-4)
    by_hand = -(weights * log_softmax(z_s)[np.arange(12), y]).mean()
    assert found["student_loss"] == pytest.approx(by_hand, rel=1e-4)
    assert found["loss"] == pytest.approx(0.3 * by_hand + 0.7 * found["kd_loss"], rel=1e-4)


# Row 5


@core
def test_the_student_runs_once_a_step_and_batch_norm_moves_once():
    x, y = examples(8)
    student, teacher = normalized_net(), normalized_net(1)
    hidden = keras.Model(student.inputs, student.get_layer("hidden").output)
    mean = inferred(hidden, x).mean(0)
    model = distiller(
        student,
        teacher,
        feature_losses=[
            FitNetLoss(layers={"hidden": "hidden", "norm": "norm", "drop": "drop"}),
            FitNetLoss(layers={"scores": "scores"}, name="last"),
        ],
    )
    counted = [student.get_layer("counter").calls, teacher.get_layer("counter").calls]
    model.fit(x, y, batch_size=8, verbose=0)
    assert student.get_layer("counter").calls == counted[0] + 1
    assert teacher.get_layer("counter").calls == counted[1] + 1
    moved = student.get_layer("norm").moving_mean
    np.testing.assert_allclose(moved, 0.1 * mean, rtol=1e-4, atol=1e-6)


@core
def test_features_and_outputs_see_the_same_dropout_mask():
    # The student's output is its dropped layer: were the masks different, so would the losses be.
    inputs = keras.Input((64,))
    student = keras.Model(inputs, keras.layers.Dropout(0.5, name="drop")(inputs))
    other = keras.Input((64,))
    teacher = keras.Model(other, keras.layers.Dense(64, name="out")(other))
    model = Distiller(
        student,
        teacher,
        alpha=0.0,
        kd_loss=RegressionLoss(),
        feature_losses=[RegressionLoss(layers={"drop": "out"}, name="inside")],
    )
    model.compile("sgd")
    history = model.fit(np.ones((4, 64), "float32"), epochs=2, batch_size=4, verbose=0).history
    np.testing.assert_allclose(history["kd_loss"], history["inside"], rtol=1e-6)
    assert history["kd_loss"][0] != history["kd_loss"][1]


# Row 6


@core
@alike_but_first("with_teacher", [True, False])
def test_evaluate_three_times_gives_the_same_loss(with_teacher):
    x, y = examples(12)
    student = normalized_net()
    model = distiller(
        student,
        normalized_net(1),
        feature_losses=[FitNetLoss(layers={"norm": "norm"})],
        validate_with_teacher=with_teacher,
    )
    model.fit(x, y, batch_size=4, verbose=0)
    student.get_layer("counter").count.assign(0)
    before = [
        variable.numpy() if hasattr(variable, "numpy") else np.asarray(variable)
        for variable in student.weights
    ]
    values = [logs(model, x, y, batch_size=4) for _ in range(3)]
    assert values[0] == values[1] == values[2]
    student.get_layer("counter").count.assign(0)
    for variable, value in zip(student.weights, before, strict=True):
        np.testing.assert_array_equal(np.asarray(variable), value, err_msg=variable.path)


# Row 7


@keras.saving.register_keras_serializable(package="tests")
class Penalty(keras.layers.Layer):
    def call(self, x):
        self.add_loss(0.5 * keras.ops.mean(keras.ops.square(x)))
        return x


@core
def test_regularisers_and_added_losses_count_once():
    x, y = examples(8)
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(5, kernel_regularizer=keras.regularizers.L2(0.1))(inputs)
    student = keras.Model(inputs, keras.layers.Dense(3)(Penalty()(hidden)))
    teacher = net(7, seed=1, kernel_regularizer="l2")  # the teacher's own are none of ours
    kernel, bias = numbers(student)[:2]
    by_hand = 0.1 * (kernel**2).sum() + 0.5 * ((x @ kernel + bias) ** 2).mean()
    model = distiller(student, teacher, alpha=0.3)
    found = model.fit(x, y, batch_size=8, verbose=0).history
    rest = 0.3 * found["student_loss"][0] + 0.7 * found["kd_loss"][0]
    assert found["loss"][0] - rest == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.alike
@core
def test_regularisers_pull_as_they_do_alone():
    # Without labels and with a teacher that says nothing, only the regulariser moves the weights.
    student = linear([[2.0, -1.0, 0.5]], kernel_regularizer=keras.regularizers.L2(0.25))
    model = distiller(student, scores([0.0, 0.0, 0.0]), alpha=0.0)
    model.fit(np.zeros((4, 1), "float32"), verbose=0)
    np.testing.assert_allclose(numbers(student)[0], [[1.9, -0.95, 0.475]], rtol=1e-6)
