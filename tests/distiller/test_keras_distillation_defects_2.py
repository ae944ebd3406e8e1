"""What `keras.distillation` gets wrong and is right here: rows 8 to 15 of the project's list."""

import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
from models_for_tests import (
    assert_same_weights,
    cross_entropy,
    distiller,
    examples,
    inferred,
    kd,
    log_softmax,
    logs,
    net,
    normalized_net,
    numbers,
    sgd,
)
from variants import first_of

from keras_kd import Distiller
from keras_kd.losses import FitNetLoss, KDLoss

core = pytest.mark.core


# Row 8


@core
@pytest.mark.parametrize("layers", [{"hidden": None}, ["hidden"], {"hidden": ""}, "hidden", {}])
def test_a_student_layer_without_a_teacher_layer_is_an_error(layers):
    with pytest.raises((TypeError, ValueError), match="Received: layer"):
        Distiller(net(), net(seed=1), feature_losses=[FitNetLoss(layers=layers)])


# Row 9


@pytest.mark.alike
@core
@first_of(("narrow", "wide"), [(1, 8), (8, 1)])
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
        model.fit(x, y, batch_size=6, shuffle=False, verbose=0)
        if stops:
            model.save(tmp_path / "distiller.keras")
            model = keras.saving.load_model(tmp_path / "distiller.keras")
        history = model.fit(x, y, batch_size=6, shuffle=False, verbose=0).history
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


@pytest.mark.alike
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


@pytest.mark.alike
@core
@first_of("metrics", ["accuracy", ["accuracy"], [["accuracy"]], {"scores": "accuracy"}])
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


@pytest.mark.alike
@core
def test_there_is_one_loss_weighted_by_examples_on_an_uneven_last_batch():
    x, y = examples(10)
    x[8:] *= 30.0  # the last batch of two differs
    student, teacher = net(), net(9, seed=1)
    z_s, z_t = inferred(student, x), inferred(teacher, x)
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


# Row 14 (all 27 combinations: test_structures.py)


@pytest.mark.alike
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

        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(16, 4)).astype("float32"), rng.integers(0, 3, 16)
        weight = rng.uniform(0, 2, 16).astype("float32")
        runs = []
        for scope, eager in ((contextlib.nullcontext(), True), (both.scope(), False)):
            with scope:
                student = net(5, 0, kernel_regularizer="l2")
                hint = FitNetLoss(layers={"hidden": "hidden"}, weight=2.0)
                model = Distiller(student, net(8, 1), alpha=0.3, feature_losses=[hint])
                loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
                momentum = keras.optimizers.SGD(0.1, momentum=0.9)
                model.compile(momentum, loss, metrics=["accuracy"], run_eagerly=eager)
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
