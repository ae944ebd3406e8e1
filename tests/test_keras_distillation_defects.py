"""What `keras.distillation` gets wrong, row by row of the project's list, and is right here."""

import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
from models_for_tests import (
    EAGER,
    Counter,
    assert_same_weights,
    cross_entropy,
    distiller,
    examples,
    kd,
    largest_move,
    linear,
    log_softmax,
    net,
    numbers,
    sgd,
    softmax,
)

from keras_kd import Distiller
from keras_kd.features import Tap
from keras_kd.losses import ATLoss, FitNetLoss, KDLoss, RegressionLoss, SoftCrossEntropyLoss

core = pytest.mark.core
ONE = np.ones((1, 1), "float32")


def logs(model, x, y=None, **kwargs):
    return model.evaluate(x, y, return_dict=True, verbose=0, **kwargs)


def scores(*rows):
    """A model that answers the input 1 with the given logits."""
    return linear(np.asarray(rows))


# Row 1


@core
@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_the_loss_is_the_divergence_of_softened_distributions(temperature):
    x, y = examples(10)
    student, teacher = net(), net(9, seed=1)
    model = distiller(
        student, teacher, temperature=temperature, validate_with_teacher=True, compiled=EAGER
    )
    by_hand = kd(teacher.predict(x, verbose=0), student.predict(x, verbose=0), temperature).mean()
    # Softened logits differ by little: float32 leaves a few units of T^2 * 6e-8.
    error = 1e-7 * temperature**2 + 1e-5 * by_hand
    assert logs(model, x, y)["kd_loss"] == pytest.approx(by_hand, abs=error)


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
    taught = teacher.predict(x, verbose=0).argmax(-1)
    student = net(8, features=2)
    model = distiller(
        student, teacher, alpha=0.0, compiled={"optimizer": keras.optimizers.Adam(0.03)}
    )
    model.fit(x, batch_size=50, epochs=25, verbose=0)
    assert np.mean(student.predict(x, verbose=0).argmax(-1) == taught) > 0.95


# Row 2


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


@core
def test_soft_cross_entropy_never_falls_below_the_teachers_entropy():
    z_t = np.array([3.0, 0.0, -1.0])
    entropy = -(softmax(z_t) * log_softmax(z_t)).sum()
    model = distiller(
        scores([0.0, 0.0, 0.0]),
        scores(z_t),
        alpha=0.0,
        kd_loss=SoftCrossEntropyLoss(),
        compiled={"optimizer": sgd(1.0)},
    )
    x = np.ones((200, 1), "float32")
    losses = [model.fit(x, batch_size=1, verbose=0).history["kd_loss"][0], logs_at_end(model, x)]
    assert losses[0] > losses[1]
    assert losses[1] == pytest.approx(entropy, abs=1e-3)


def logs_at_end(model, x):
    model.optimizer.learning_rate = 0.0
    return model.fit(x, verbose=0).history["kd_loss"][0]


# Row 4


@core
@pytest.mark.parametrize(
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
    z_s, z_t = student.predict(x, verbose=0), teacher.predict(x, verbose=0)
    model = distiller(student, teacher, alpha=0.3, validate_with_teacher=True)
    found = logs(model, x, y, sample_weight=weights, batch_size=12)
    assert found["kd_loss"] == pytest.approx((weights * kd(z_t, z_s, 4.0)).mean(), rel=1e-4)
    by_hand = -(weights * log_softmax(z_s)[np.arange(12), y]).mean()
    assert found["student_loss"] == pytest.approx(by_hand, rel=1e-4)
    assert found["loss"] == pytest.approx(0.3 * by_hand + 0.7 * found["kd_loss"], rel=1e-4)


# Row 5


def normalized_net(seed=0, width=5):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((4,)),
            Counter(name="counter"),
            keras.layers.Dense(width, name="hidden"),
            keras.layers.BatchNormalization(momentum=0.9, name="norm"),
            keras.layers.Dropout(0.5, seed=3, name="drop"),
            keras.layers.Dense(3, name="scores"),
        ]
    )


@core
def test_the_student_runs_once_a_step_and_batch_norm_moves_once():
    x, y = examples(8)
    student, teacher = normalized_net(), normalized_net(1)
    hidden = keras.Model(student.inputs, student.get_layer("hidden").output)
    mean = hidden.predict(x, verbose=0).mean(0)
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
@pytest.mark.parametrize("with_teacher", [False, True])
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


@core
def test_regularisers_pull_as_they_do_alone():
    # Without labels and with a teacher that says nothing, only the regulariser moves the weights.
    student = linear([[2.0, -1.0, 0.5]], kernel_regularizer=keras.regularizers.L2(0.25))
    model = distiller(student, scores([0.0, 0.0, 0.0]), alpha=0.0)
    model.fit(np.zeros((4, 1), "float32"), verbose=0)
    np.testing.assert_allclose(numbers(student)[0], [[1.9, -0.95, 0.475]], rtol=1e-6)


# Row 8


@core
@pytest.mark.parametrize("layers", [{"hidden": None}, ["hidden"], {"hidden": ""}, "hidden", {}])
def test_a_student_layer_without_a_teacher_layer_is_an_error(layers):
    with pytest.raises((TypeError, ValueError), match="Received: layer"):
        Distiller(net(), net(seed=1), feature_losses=[FitNetLoss(layers=layers)])


# Row 9


@core
@pytest.mark.parametrize(("narrow", "wide"), [(1, 8), (8, 1)])
def test_width_8_against_1_gets_a_projector(narrow, wide):
    x, y = examples(8)
    student, teacher = net(narrow), net(wide, seed=1)
    model = distiller(student, teacher, feature_losses=[FitNetLoss(layers={"hidden": "hidden"})])
    extra = len(model.trainable_variables) - len(student.trainable_variables)
    assert extra == 2
    model.fit(x, y, verbose=0)


@core
def test_shapes_that_no_projector_brings_together_name_both_layers_and_shapes():
    image = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Reshape((2, 2, 1), name="map"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    with pytest.raises(ValueError, match="No projector") as error:
        Distiller(net(), image, feature_losses=[FitNetLoss(layers={"hidden": "map"})])
    for part in ("'hidden'", "'map'", "(None, 5)", "(None, 2, 2, 1)"):
        assert part in str(error.value)


# Row 10


@core
def test_a_reloaded_distiller_continues_as_if_it_had_not_stopped(tmp_path):
    x, y = examples(12)
    runs = []
    for stops in (False, True):
        model = distiller(
            net(),
            net(9, seed=1),  # its seed gives both projectors the same values
            feature_losses=[FitNetLoss(layers={"hidden": "hidden"}, weight=2.0)],
            compiled={"optimizer": keras.optimizers.Adam(0.01)},
        )
        model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        if stops:
            model.save(tmp_path / "distiller.keras")
            model = keras.saving.load_model(tmp_path / "distiller.keras")
        history = model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0).history
        runs.append((model, history))
    assert_same_weights(runs[0][0], runs[1][0])
    for name, values in runs[0][1].items():
        np.testing.assert_allclose(values, runs[1][1][name], rtol=1e-5, err_msg=name)


# Row 11


@core
def test_one_feature_loss_with_weight_100_counts_100_times():
    x, y = examples(8)
    loss = FitNetLoss(layers={"hidden": "hidden"}, weight=100.0)
    model = distiller(net(), net(seed=1), alpha=0.3, feature_losses=loss)
    found = {name: value[0] for name, value in model.fit(x, y, verbose=0).history.items()}
    by_hand = 0.3 * found["student_loss"] + 0.7 * found["kd_loss"] + 100 * found["fit_net_loss"]
    assert found["loss"] == pytest.approx(by_hand, rel=1e-5)


def two_heads(seed=0):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(5, "tanh")(inputs)
    return keras.Model(
        inputs, {name: keras.layers.Dense(3, name=name)(hidden) for name in ("a", "b")}
    )


@core
def test_loss_weights_in_compile_are_honoured():
    x, y = examples(8)
    found = []
    for weights in ({"a": 1.0, "b": 0.0}, {"a": 3.0, "b": 0.0}):
        model = distiller(
            two_heads(),
            two_heads(1),
            compiled={
                "loss": {"a": cross_entropy(), "b": cross_entropy()},
                "loss_weights": weights,
            },
        )
        found.append(model.fit(x, {"a": y, "b": y}, verbose=0).history["student_loss"][0])
    assert found[1] == pytest.approx(3 * found[0], rel=1e-5)


@core
def test_pure_distillation_needs_no_loss_and_no_labels():
    x, _ = examples(8)
    student, teacher = net(), net(9, seed=1)
    model = Distiller(student, teacher, alpha=0.0)
    model.compile(sgd())
    history = model.fit(x, epochs=2, verbose=0).history
    assert set(history) == {"loss", "kd_loss"}
    assert history["loss"][1] < history["loss"][0]


@core
@pytest.mark.parametrize(
    "metrics", ["accuracy", ["accuracy"], [["accuracy"]], {"scores": "accuracy"}]
)
def test_metrics_are_taken_as_keras_takes_them(metrics):
    x, y = examples(8)
    results = []
    for model in (net(), Distiller(net(), net(9, seed=1))):
        try:
            model.compile(sgd(0.0), cross_entropy(), metrics=metrics)
            model.fit(x, y, verbose=0)
            results.append(model.evaluate(x, y, return_dict=True, verbose=0)["accuracy"])
        except Exception as error:
            results.append(type(error))
    assert results[0] == results[1]


@core
@pytest.mark.parametrize("number", [np.float32, np.float64, np.int64, np.array, float, int])
def test_a_numpy_temperature_is_a_temperature(number):
    assert float(Distiller(net(), net(seed=1), temperature=number(3)).temperature) == 3.0
    assert KDLoss(temperature=number(3)).temperature == 3.0


@core
@pytest.mark.parametrize("flag", [True, np.True_])
def test_true_is_no_temperature(flag):
    with pytest.raises(TypeError, match=r"`temperature` must be .*Received: temperature=True"):
        Distiller(net(), net(seed=1), temperature=flag)


# Row 12


@core
def test_the_teacher_is_as_it_was():
    x, y = examples(8)
    teacher = normalized_net(1)
    teacher.get_layer("hidden").trainable = False
    teacher.get_layer("counter").trainable = False
    flags = [layer.trainable for layer in teacher.layers]
    before = numbers(teacher)[1:]
    model = distiller(net(), teacher)
    model.trainable = False
    model.trainable = True
    model.compile(sgd(), cross_entropy())
    model.fit(x, y, epochs=2, verbose=0)
    assert [layer.trainable for layer in teacher.layers] == flags
    assert len(model.trainable_variables) == 4
    for a, b in zip(numbers(teacher)[1:], before, strict=True):
        np.testing.assert_array_equal(a, b)


@core
def test_a_teacher_that_is_the_student_is_an_error():
    student = net()
    wrapped = keras.Sequential([keras.Input((4,)), student])
    for teacher in (student, wrapped):
        with pytest.raises(ValueError, match="another model than the student"):
            Distiller(student, teacher)


# Row 13


@core
def test_there_is_one_loss_weighted_by_examples_on_an_uneven_last_batch():
    x, y = examples(10)
    x[8:] *= 30.0  # the last batch of two differs
    student, teacher = net(), net(9, seed=1)
    z_s, z_t = student.predict(x, verbose=0), teacher.predict(x, verbose=0)
    student_loss = -log_softmax(z_s)[np.arange(10), y].mean()
    kd_loss = kd(z_t, z_s, 4.0).mean()
    by_hand = {
        "student_loss": student_loss,
        "kd_loss": kd_loss,
        "loss": 0.3 * student_loss + 0.7 * kd_loss,
    }
    model = distiller(
        student, teacher, alpha=0.3, validate_with_teacher=True, compiled={"optimizer": sgd(0.0)}
    )
    fitted = model.fit(x, y, batch_size=4, verbose=0).history
    evaluated = logs(model, x, y, batch_size=4)
    assert set(fitted) == set(evaluated) == set(by_hand)
    for name, value in by_hand.items():
        assert fitted[name][0] == pytest.approx(value, rel=1e-5), name
        assert evaluated[name] == pytest.approx(value, rel=1e-5), name


# Row 14 (all 27 combinations: test_distiller_structures.py)


@core
def test_two_outputs_by_name_train_with_one_loss_each():
    x, y = examples(8)
    student, teacher = two_heads(), two_heads(1)
    before = numbers(student)
    model = distiller(
        student, teacher, alpha=0.5, compiled={"loss": {"a": cross_entropy(), "b": cross_entropy()}}
    )
    history = model.fit(x, {"a": y, "b": y[::-1].copy()}, epochs=3, batch_size=8, verbose=0).history
    assert history["loss"][2] < history["loss"][0]
    assert all(np.abs(a - b).max() > 0 for a, b in zip(numbers(student), before, strict=True))


# Row 15


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.distribute is TensorFlow's")
def test_two_replicas_make_the_update_of_one_device():
    script = """
        import contextlib, keras, numpy as np, tensorflow as tf
        from keras_kd import Distiller
        from keras_kd.losses import FitNetLoss

        device = tf.config.list_physical_devices("CPU")[0]
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(device, two)
        both = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

        def net(width, seed, **kwargs):
            keras.utils.set_random_seed(seed)
            inputs = keras.Input((4,))
            hidden = keras.layers.Dense(width, "tanh", name="hidden", **kwargs)(inputs)
            return keras.Model(inputs, keras.layers.Dense(3, name="scores")(hidden))

        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(16, 4)).astype("float32"), rng.integers(0, 3, 16)
        weight = rng.uniform(0, 2, 16).astype("float32")
        runs = []
        for scope in (contextlib.nullcontext(), both.scope()):
            with scope:
                student = net(5, 0, kernel_regularizer="l2")
                hint = FitNetLoss(layers={"hidden": "hidden"}, weight=2.0)
                model = Distiller(student, net(8, 1), alpha=0.3, feature_losses=[hint])
                loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
                model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, metrics=["accuracy"])
            start = model.get_weights()
            data = tf.data.Dataset.from_tensor_slices((x, y, weight)).batch(8)
            history = model.fit(data, epochs=2, verbose=0, validation_data=data).history
            runs.append((model.get_weights(), history))
        moved = max(np.abs(a - b).max() for a, b in zip(start, runs[0][0]))
        assert moved > 1e-2, moved
        for a, b in zip(runs[0][0], runs[1][0]):
            assert np.abs(a - b).max() < 1e-6, np.abs(a - b).max()
        for name, values in runs[0][1].items():
            np.testing.assert_allclose(values, runs[1][1][name], rtol=1e-5, err_msg=name)
        print("equal")
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert run.stdout.strip().endswith("equal"), run.stderr[-3000:]


# Row 16


def tagger(width, seed=0):
    """Scores every token; token 0 is padding."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((None,), dtype="int32")
    hidden = keras.layers.Embedding(7, width, mask_zero=True, name="embedding")(inputs)
    return keras.Model(inputs, keras.layers.Dense(3, name="scores")(hidden))


@core
def test_padding_changes_nothing():
    rng = np.random.default_rng(0)
    tokens, labels = rng.integers(1, 7, (6, 5)), rng.integers(0, 3, (6, 5))
    tokens[0, 3:] = tokens[2, 1:] = 0
    runs = []
    for padding in (0, 4):
        student = tagger(4)
        model = distiller(
            student,
            tagger(4, seed=1),
            feature_losses=[FitNetLoss(layers={"embedding": "embedding"}, weight=1.0)],
        )
        x, y = (np.pad(array, ((0, 0), (0, padding))) for array in (tokens, labels))
        runs.append((student, model.fit(x, y, batch_size=6, epochs=2, verbose=0).history))
    assert_same_weights(runs[0][0], runs[1][0])
    for name, values in runs[0][1].items():
        np.testing.assert_allclose(values, runs[1][1][name], rtol=1e-5, err_msg=name)


@core
def test_only_real_tokens_count():
    tokens, labels = np.array([[1, 2, 0], [3, 0, 0]]), np.zeros((2, 3))
    student, teacher = tagger(4), tagger(4, seed=1)
    for model in (student, teacher):  # far apart, so that float32 tells the divergences well
        model.get_layer("embedding").embeddings.assign(np.random.default_rng(1).normal(size=(7, 4)))
    real = tokens > 0
    by_hand = kd(teacher.predict(tokens, verbose=0), student.predict(tokens, verbose=0), 4.0)
    model = distiller(student, teacher, validate_with_teacher=True)
    assert logs(model, tokens, labels)["kd_loss"] == pytest.approx(by_hand[real].mean(), rel=1e-4)


# Row 17


@core
@pytest.mark.parametrize("student_end", [None, "softmax"])
@pytest.mark.parametrize("teacher_end", [None, "softmax"])
def test_models_that_end_in_softmax_are_not_softmaxed_again(student_end, teacher_end):
    x, y = examples(8)
    by_hand = kd(net(9, seed=1).predict(x, verbose=0), net().predict(x, verbose=0), 4.0).mean()
    model = distiller(
        net(activation=student_end),
        net(9, seed=1, activation=teacher_end),
        validate_with_teacher=True,
        compiled={
            **EAGER,
            "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=not student_end),
        },
    )
    assert logs(model, x, y)["kd_loss"] == pytest.approx(by_hand, rel=1e-4)


@core
def test_what_cannot_be_known_is_an_error_that_says_what_to_pass():
    unknown = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3), keras.layers.LayerNormalization()]
    )
    with pytest.raises(ValueError, match="teacher_from_logits=True"):
        Distiller(net(), unknown)
    Distiller(net(), unknown, kd_loss=KDLoss(teacher_from_logits=True))


# Row 18


@core
@pytest.mark.parametrize("accelerated", [{}, {"jit_compile": True}, {"steps_per_execution": 2}])
def test_a_changed_temperature_alpha_or_weight_counts_in_the_running_step(accelerated):
    x, y = examples(8)
    student, teacher = net(), net(9, seed=1)
    z_s, z_t = student.predict(x, verbose=0), teacher.predict(x, verbose=0)
    student_loss = -log_softmax(z_s)[np.arange(8), y].mean()

    class Change(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                self.model.temperature.assign(1.0)
                self.model.alpha.assign(0.9)
                self.model.term_weights["fit_net_loss"].assign(0.0)

    model = distiller(
        student,
        teacher,
        alpha=0.3,
        feature_losses=[FitNetLoss(layers={"hidden": "hidden"}, weight=5.0)],
        compiled={"optimizer": sgd(0.0), **accelerated},
    )
    found = model.fit(
        np.concatenate([x, x]),
        np.concatenate([y, y]),
        batch_size=8,
        shuffle=False,
        epochs=2,
        verbose=0,
        callbacks=[Change()],
    ).history
    hint = found["fit_net_loss"][0]
    before = 0.3 * student_loss + 0.7 * kd(z_t, z_s, 4.0).mean() + 5 * hint
    after = 0.9 * student_loss + 0.1 * kd(z_t, z_s, 1.0).mean()
    np.testing.assert_allclose(found["loss"], [before, after], rtol=1e-4)


# Row 19


@core
def test_teacher_and_student_may_want_images_of_different_sizes():
    def cnn(size, seed, first=()):
        keras.utils.set_random_seed(seed)
        return keras.Sequential(
            [
                keras.Input((size, size, 1)),
                *first,
                keras.layers.Conv2D(4, 3, name="map", data_format="channels_last"),
                keras.layers.GlobalAveragePooling2D(data_format="channels_last"),
                keras.layers.Dense(3),
            ]
        )

    teacher = cnn(8, 1)
    seen = keras.Sequential(
        [keras.Input((6, 6, 1)), keras.layers.Resizing(8, 8, data_format="channels_last"), teacher]
    )
    x = np.random.default_rng(0).normal(size=(4, 6, 6, 1)).astype("float32")
    model = distiller(
        cnn(6, 0),
        seen,
        feature_losses=[FitNetLoss(layers={"map": "map"}), ATLoss(layers={"map": "map"})],
    )
    model.fit(x, np.zeros(4), verbose=0)


@core
def test_a_float32_teacher_teaches_a_float16_student():
    x, y = examples(8)
    half = keras.DTypePolicy("mixed_float16")
    student, teacher = net(dtype=half), net(9, seed=1)
    by_hand = kd(teacher.predict(x, verbose=0), student.predict(x, verbose=0), 4.0).mean()
    model = distiller(
        student,
        teacher,
        feature_losses=[FitNetLoss(layers={"hidden": "hidden"})],
        validate_with_teacher=True,
    )
    assert logs(model, x, y)["kd_loss"] == pytest.approx(by_hand, rel=2e-3)
    before = numbers(student)
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"][0])
    assert largest_move(student, before) > 0


@core
def test_features_of_models_with_different_class_counts_are_compared():
    x, y = examples(8)
    model = distiller(
        net(classes=3),
        net(9, seed=1, classes=7),
        kd_loss=None,
        feature_losses=[FitNetLoss(layers={"hidden": "hidden"})],
    )
    assert set(model.fit(x, y, verbose=0).history) == {
        "loss",
        "student_loss",
        "kd_loss",
        "fit_net_loss",
    }


# Row 20 (nested, Sequential and subclassed models: test_distiller_structures.py)


@core
def test_attention_scores_are_reachable(tmp_path):
    def transformer(heads, seed):
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((4, 6))
        hidden, _ = keras.layers.MultiHeadAttention(heads, 3, name="attention")(
            inputs, inputs, return_attention_scores=True
        )
        return keras.Model(inputs, keras.layers.Dense(3)(hidden[:, 0]))

    scores = RegressionLoss(layers={"attention/softmax": "attention/softmax"})
    model = distiller(transformer(2, 0), transformer(2, 1), feature_losses=[scores])
    x = np.random.default_rng(0).normal(size=(4, 4, 6)).astype("float32")
    history = model.fit(x, np.zeros(4), epochs=2, verbose=0).history
    assert 0 < history["regression_loss"][0] < 2
    model.save(tmp_path / "distiller.keras")  # where Keras numbers the softmax anew
    again = keras.saving.load_model(tmp_path / "distiller.keras").fit(x, np.zeros(4), verbose=0)
    assert again.history["regression_loss"][0] < history["regression_loss"][0] * 1.1


@core
def test_a_layer_inside_a_subclassed_model_is_reachable():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = keras.layers.Dense(5, "tanh", name="hidden")
            self.last = keras.layers.Dense(3)

        def call(self, x):
            return self.last(self.hidden(x))

    x, y = examples(8)
    keras.utils.set_random_seed(0)
    student = Net()
    student(x)
    loss = FitNetLoss(layers={Tap("hidden"): "hidden"})
    model = distiller(student, net(seed=1), feature_losses=[loss])
    assert model.fit(x, y, verbose=0).history["fit_net_loss"][0] > 0


# Row 21


def counted(teacher):
    return keras.Sequential([keras.Input((4,)), Counter(name="counter"), teacher])


@core
@pytest.mark.parametrize(("validates", "extra"), [(False, 0), (True, 3)])
def test_the_teacher_runs_in_validation_only_when_it_is_asked_to(validates, extra):
    x, y = examples(12)
    teacher = counted(net(9, seed=1))
    model = distiller(net(), teacher, validate_with_teacher=validates)
    counter = teacher.get_layer("counter")
    before = counter.calls
    history = model.fit(
        x, y, batch_size=4, validation_data=(x, y), validation_batch_size=4, verbose=0
    ).history
    assert counter.calls == before + 3 + extra
    assert ("val_kd_loss" in history) == validates
    before = counter.calls
    found = logs(model, x, y, batch_size=4)
    assert counter.calls == before + extra
    assert ("kd_loss" in found) == validates
    model.predict(x, verbose=0)
    assert counter.calls == before + extra


@core
def test_evaluate_reports_what_the_student_alone_would():
    x, y = examples(12)
    student = net(kernel_regularizer="l2")
    student.compile(sgd(), cross_entropy(), metrics=["accuracy"])
    model = distiller(student, net(9, seed=1), alpha=0.3, compiled={"metrics": ["accuracy"]})
    found, alone = logs(model, x, y, batch_size=5), logs(student, x, y, batch_size=5)
    assert found["loss"] == pytest.approx(alone["loss"], rel=1e-6)
    assert found["accuracy"] == alone["accuracy"]


@core
def test_teacher_outputs_that_travel_with_the_data_teach_like_the_teacher():
    x, y = examples(12)
    teacher = net(9, seed=1)
    taught, live = net(), net()
    outputs = teacher.predict(x, verbose=0)
    cached = distiller(taught)
    one = cached.fit(
        {"inputs": x, "teacher_outputs": outputs},
        y,
        batch_size=4,
        epochs=3,
        shuffle=False,
        verbose=0,
    ).history
    other = (
        distiller(live, teacher).fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0).history
    )
    assert_same_weights(taught, live)
    assert set(one) == set(other)
    for name, values in one.items():
        np.testing.assert_allclose(values, other[name], rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(cached.predict(x, verbose=0), taught.predict(x, verbose=0))
