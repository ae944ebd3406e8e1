"""The mean teacher, against its closed form."""

import keras
import numpy as np
import pytest
from models_for_tests import (
    COMPILED,
    EAGER,
    assert_same_weights,
    distiller,
    examples,
    inferred,
    net,
    normalized_net,
    numbers,
)
from variants import first_of

from keras_kd import Distiller
from keras_kd.losses import FitNetLoss
from keras_kd.teachers import MovingAverage

pytestmark = pytest.mark.core

X, Y = examples(12)


class Weights(keras.callbacks.Callback):
    """The weights that the student has before the first step and after each."""

    def on_train_begin(self, logs=None):
        self.seen = [numbers(self.model.student)]

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(numbers(self.model.student))


def averaged(seen, momenta):
    """The recursion in float64, from what the student began with."""
    average = seen[0]
    for weights, m in zip(seen[1:], momenta, strict=True):
        average = [m * a + (1.0 - m) * w for a, w in zip(average, weights, strict=True)]
    return average


def fit(model, *callbacks, epochs=2, **kwargs):
    kwargs = {"batch_size": 4, "shuffle": False, "verbose": 0, **kwargs}
    return model.fit(X, Y, epochs=epochs, callbacks=list(callbacks), **kwargs).history


def made(student=None, momentum=0.8, compiled=None, ramp_up=False, **kwargs):
    student = normalized_net() if student is None else student
    teacher = MovingAverage(student, momentum, ramp_up=ramp_up)
    return distiller(student, teacher, compiled=compiled, alpha=0.5, **kwargs)


def assert_average(model, seen, momenta):
    average, found = model.teacher.model, numbers(model.teacher.model)
    lists = (average.weights, found, averaged(seen, momenta), seen[-1])
    for weight, value, expected, last in zip(*lists, strict=True):
        expected = last if weight.dtype == "int32" else expected  # a counter
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6, err_msg=weight.path)


@pytest.mark.parametrize(
    "compiled", [COMPILED, pytest.param({"jit_compile": True}, marks=pytest.mark.slow)]
)
def test_after_each_step_every_weight_and_statistic_is_averaged(compiled):
    model, weights = made(compiled=compiled), Weights()
    start = numbers(model.student)
    fit(model, weights)
    assert len(weights.seen) == 7
    assert_average(model, weights.seen, [0.8] * 6)
    moved = dict(zip((w.path for w in model.student.weights), weights.seen[-1], strict=True))
    for (path, now), before in zip(moved.items(), start, strict=True):
        assert not np.array_equal(now, before), path  # statistics, too, or nothing was shown


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras takes one step at a time on PyTorch"
)
def test_several_steps_in_one_execution_are_followed_one_by_one():
    one, three = made(compiled=COMPILED), made(compiled={"steps_per_execution": 3})
    fit(one)
    fit(three)
    assert_same_weights(one.teacher, three.teacher)


def test_momentum_ramps_up_as_the_authors_have_it():
    model, weights = made(momentum=0.7, ramp_up=True, compiled=EAGER), Weights()
    fit(model, weights, epochs=1)
    assert_average(model, weights.seen, [1 / 2, 2 / 3, 0.7])


def test_momentum_can_change_while_the_distiller_trains():
    model, weights = made(net(), compiled=EAGER), Weights()
    momenta = [0.9, 0.5]
    fit(
        model,
        weights,
        keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: setattr(model.teacher, "momentum", momenta[epoch])
        ),
    )
    assert_average(model, weights.seen, [0.9] * 3 + [0.5] * 3)


def test_the_teacher_of_the_first_step_is_the_student_it_was_made_of():
    model = made(net(), compiled=EAGER)
    np.testing.assert_array_equal(inferred(model.teacher, X), inferred(model.student, X))
    assert fit(model, epochs=1, batch_size=12)["kd_loss"] == [0.0]


@pytest.mark.alike
def test_momentum_one_leaves_the_teacher_and_zero_takes_the_student():
    still, same = made(net(), 1.0, compiled=EAGER), made(net(), 0.0, compiled=EAGER)
    before = numbers(still.teacher.model)
    fit(still, epochs=1)
    fit(same, epochs=1)
    for a, b in zip(numbers(still.teacher.model), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert_same_weights(same.teacher.model, same.student)


@pytest.mark.alike
def test_average_and_student_stay_ordinary_models():
    student = net()
    student.layers[-1].trainable = False
    model = made(student, compiled=EAGER)
    names = [weight.path for weight in model.student.weights]
    fit(model, epochs=1)
    flags = [[layer.trainable for layer in each.layers] for each in (model.teacher.model, student)]
    assert flags[0] == flags[1]
    assert [weight.path for weight in model.student.weights] == names
    assert len(model.trainable_variables) == len(model.student.trainable_variables)


def test_evaluate_leaves_it_alone():
    model = made(net(), compiled=EAGER, validate_with_teacher=True)
    before = numbers(model.teacher)
    model.evaluate(X, Y, verbose=0)
    for a, b in zip(numbers(model.teacher), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_saved_distiller_goes_on_as_the_one_that_was_not(tmp_path):
    model = made(momentum=0.9, ramp_up=True, compiled=EAGER)
    fit(model, epochs=1)
    model.teacher.momentum = 0.7
    model.save(tmp_path / "distiller.keras")
    loaded = keras.saving.load_model(tmp_path / "distiller.keras")
    loaded.run_eagerly = model.run_eagerly
    assert_same_weights(loaded.teacher, model.teacher, atol=0)
    for each in (model, loaded):
        fit(each, epochs=1)
    assert_same_weights(loaded.student, model.student)
    assert_same_weights(loaded.teacher, model.teacher)


class Killed(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


@pytest.mark.alike
def test_backup_and_restore_gives_the_average_back(tmp_path):
    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup", double_checkpoint=True)

    whole, killed, resumed = (made(net(), compiled=EAGER, ramp_up=True) for _ in range(3))
    fit(whole, epochs=3)
    with pytest.raises(KeyboardInterrupt):
        fit(killed, backup(), Killed(), epochs=3)
    fit(resumed, backup(), epochs=3)
    assert_same_weights(resumed.teacher, whole.teacher)


@pytest.mark.alike
def test_its_answers_and_layers_are_compared():
    hint = FitNetLoss(layers={"hidden": "hidden"})
    model = made(net(activation="softmax"), 0.5, compiled=EAGER, feature_losses=[hint])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(), **EAGER)
    history = fit(model, batch_size=12)
    assert history["kd_loss"][0] == 0.0 < history["kd_loss"][1]
    assert history["fit_net_loss"][1] > 0.0


@first_of("policy", ["bfloat16", "mixed_bfloat16"])
def test_half_precision_is_averaged_in_float32(policy):
    keras.config.set_dtype_policy(policy)
    student = net()
    teacher = MovingAverage(student, 0.999)
    before = numbers(teacher.model)
    student.set_weights([w + 1.0 for w in before])
    teacher.follow(student)
    for new, old in zip(numbers(teacher.model), before, strict=True):
        np.testing.assert_allclose(new - old, 1e-3, rtol=1e-2)  # bfloat16 would not have moved


@pytest.mark.alike
def test_each_layer_keeps_the_precision_that_it_computes_in():
    layers = [keras.layers.Dense(2, dtype=dtype) for dtype in ("bfloat16", "float32")]
    student = keras.Sequential([keras.Input((2,)), *layers])
    average = MovingAverage(student).model
    assert [layer.compute_dtype for layer in average.layers] == ["bfloat16", "float32"]
    assert {weight.dtype for weight in average.weights} == {"float32"}


def test_labels_of_some_and_other_views_for_the_teacher():
    student = net()
    model = Distiller(student, MovingAverage(student, 0.5), alpha=0.5, temperature=1.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    model.compile(keras.optimizers.SGD(0.1), loss, **EAGER)
    some = np.where(np.arange(12) < 3, Y, -1)
    x = {"inputs": X, "teacher_inputs": X + 0.5}
    expected = loss(some, inferred(student, X))
    history = model.fit(x, some, batch_size=12, verbose=0).history
    np.testing.assert_allclose(history["student_loss"], expected, rtol=1e-5)
    assert history["kd_loss"][0] > 0.0  # the teacher, still the student, saw other inputs


@pytest.mark.alike
def test_models_with_inputs_by_name_pick_their_own():
    x = {"seen": X, "unseen": X}
    inputs = {"seen": keras.Input((4,), name="seen")}
    student = keras.Model(inputs, keras.layers.Dense(3, name="scores")(inputs["seen"]))
    history = made(student, compiled=EAGER).fit(x, Y, verbose=0).history
    assert history["kd_loss"] == [0.0]


@pytest.mark.alike
@pytest.mark.parametrize("momentum", [-0.1, 1.1, float("nan")])
def test_a_momentum_outside_0_to_1_is_refused(momentum):
    with pytest.raises(ValueError, match="Received: momentum="):
        MovingAverage(net(), momentum)
    teacher = MovingAverage(net())
    with pytest.raises(ValueError, match="Received: momentum="):
        teacher.momentum = momentum


@pytest.mark.alike
def test_a_student_that_is_not_built_is_refused():
    with pytest.raises(ValueError, match="built=False"):
        MovingAverage(keras.Sequential([keras.layers.Dense(3)]))


@pytest.mark.alike
def test_what_is_no_model_is_refused():
    with pytest.raises(TypeError, match="Received: student="):
        MovingAverage(lambda x: x)


@pytest.mark.alike
def test_a_teacher_of_another_student_is_refused():
    with pytest.raises(ValueError, match="teaches the student that it is of"):
        Distiller(net(), MovingAverage(net()))


@pytest.mark.alike
def test_a_student_that_cannot_be_rebuilt_is_refused():
    class Mine(keras.Model):
        def __init__(self, width):
            super().__init__()
            self.dense = keras.layers.Dense(width)

        def call(self, x):
            return self.dense(x)

    student = Mine(3)
    student(X)
    with pytest.raises(ValueError, match="`get_config`"):
        MovingAverage(student)


@pytest.mark.alike
def test_a_copy_in_another_precision_would_not_follow():
    student = net()
    with pytest.raises(ValueError, match="Received: teacher_dtype='bfloat16'"):
        Distiller(student, MovingAverage(student), teacher_dtype="bfloat16")


@pytest.mark.alike
def test_the_summary_says_that_it_follows():
    lines = []
    made(net()).summary(print_fn=lines.append)
    assert any("following the student" in line for line in lines)
