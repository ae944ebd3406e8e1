"""`Distiller(..., teacher_dtype=...)`: a copy of the teacher in another precision."""

import keras
import numpy as np
import pytest
from keras import layers
from models_for_tests import (
    assert_same_weights,
    distiller,
    examples,
    inferred,
    net,
    numbers,
    softmax,
)
from variants import first_of

from keras_kd import Distiller
from keras_kd.losses import FitNetLoss
from keras_kd.teachers import Ensemble

pytestmark = pytest.mark.core


def functional(seed=0):
    """With convolutions, normalisation and a branch."""
    keras.utils.set_random_seed(seed)
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Rescaling(1.0 / 255.0)(x)
    x = layers.Conv2D(16, 3, padding="same", name="conv")(x)
    x = layers.ReLU(name="maps")(layers.BatchNormalization()(x))
    x = layers.Add()([x, layers.Conv2D(16, 1)(x)])
    return keras.Model(inputs, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))


def sequential(seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(5)])


def nested(seed=0):
    inner = functional(seed)
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, layers.Dense(5, name="head")(inner(inputs)))


@keras.saving.register_keras_serializable(package="tests_in_dtype")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv, self.head = layers.Conv2D(8, 3), layers.Dense(5)

    def call(self, x):
        return self.head(keras.ops.mean(keras.ops.relu(self.conv(x)), axis=(1, 2)))


def subclassed(seed=0):
    keras.utils.set_random_seed(seed)
    model = Subclassed()
    model(images(1))
    return model


def images(count=16, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 8, 8, 3)).astype("float32")


def heard(model, x):
    """What the teacher inside a Distiller answers, in float32."""
    answers = model._untracked.running(x, training=False)
    return keras.ops.convert_to_numpy(keras.ops.cast(answers, "float32"))


@first_of("dtype", ["bfloat16", "mixed_bfloat16", "float16"])
@first_of("make", [functional, sequential, nested, subclassed])
def test_it_computes_in_that_precision_and_agrees_with_the_teacher(make, dtype):
    teacher, x = make(), images()
    before, policy = numbers(teacher), keras.config.dtype_policy().name
    expected = keras.ops.convert_to_numpy(teacher(x, training=False))
    model = Distiller(functional(1), teacher, teacher_dtype=dtype)
    running = model._untracked.running
    given = running(x, training=False)
    assert keras.backend.standardize_dtype(given.dtype) == dtype.removeprefix("mixed_")
    # bfloat16 keeps 8 bits, float16 11: of values of some size, after a few layers.
    tolerance = (0.01 if dtype == "float16" else 0.05) * np.abs(expected).max()
    np.testing.assert_allclose(heard(model, x), expected, atol=tolerance)
    assert model.teacher is teacher
    assert teacher.dtype_policy.name == keras.config.dtype_policy().name == policy
    for weight, was in zip(numbers(teacher), before, strict=True):
        np.testing.assert_array_equal(weight, was)


def test_a_student_of_it_learns_what_a_student_of_the_float32_teacher_learns():
    x, y = images(32), np.arange(32) % 5
    answers = []
    for dtype in (None, "bfloat16"):
        model = distiller(functional(1), functional(), alpha=0.1, teacher_dtype=dtype)
        model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0)
        answers.append(softmax(inferred(model.student, x)))
    np.testing.assert_allclose(answers[1], answers[0], atol=0.02)


def test_its_layers_are_matched_too():
    x, y = images(8), np.arange(8) % 5
    loss = FitNetLoss(layers={"maps": "maps"})
    model = distiller(functional(1), functional(), teacher_dtype="bfloat16", feature_losses=[loss])
    assert np.isfinite(model.fit(x, y, verbose=0).history["fit_net_loss"][0])


def test_it_follows_a_teacher_that_loads_other_weights_later():
    teacher = functional()
    model = distiller(functional(1), teacher, teacher_dtype="bfloat16")
    teacher.set_weights(functional(7).get_weights())
    model.fit(images(8), np.arange(8) % 5, verbose=0)
    expected = keras.ops.convert_to_numpy(teacher(images(), training=False))
    np.testing.assert_allclose(heard(model, images()), expected, atol=0.05)


@pytest.mark.alike
def test_a_batch_trained_alone_does_not_copy_the_teacher_again(monkeypatch):
    model = distiller(functional(1), functional(), teacher_dtype="bfloat16")
    x, y = images(8), np.arange(8) % 5
    model.train_on_batch(x, y)
    monkeypatch.setattr(model.teacher, "get_weights", lambda: pytest.fail("copied"))
    model.train_on_batch(x, y)


@pytest.mark.alike
def test_a_saved_distiller_goes_on_with_it(tmp_path):
    x, y = images(16), np.arange(16) % 5
    model = distiller(functional(1), functional(), teacher_dtype="bfloat16")
    model.fit(x, y, shuffle=False, verbose=0)
    model.save(tmp_path / "distiller.keras")
    loaded = keras.saving.load_model(tmp_path / "distiller.keras")
    assert loaded.teacher_dtype == "bfloat16"
    for each in (model, loaded):
        each.fit(x, y, shuffle=False, verbose=0)
    assert_same_weights(loaded.student, model.student)


@pytest.mark.alike
def test_an_ensemble_runs_in_it_too():
    x, y = examples(8)
    ensemble = Ensemble([net(7, seed=1), net(9, seed=2)])
    model = distiller(net(3), ensemble, teacher_dtype="bfloat16")
    assert np.isfinite(model.fit(x, y, verbose=0).history["kd_loss"][0])


@pytest.mark.alike
@pytest.mark.parametrize("wrong", ["bf16", "int8", 16, "", True])
def test_what_is_no_precision_is_refused(wrong):
    with pytest.raises(ValueError, match=r"`teacher_dtype` must be .* Received: teacher_dtype="):
        Distiller(net(3), net(5, seed=1), teacher_dtype=wrong)


@pytest.mark.alike
def test_a_precision_without_a_teacher_is_refused():
    with pytest.raises(ValueError, match=r"no teacher to run.*teacher_dtype='bfloat16'"):
        Distiller(net(3), teacher_dtype="bfloat16")


@pytest.mark.alike
def test_a_teacher_that_cannot_be_rebuilt_is_named():
    class Unsaved(layers.Layer):
        def __init__(self, connection, **kwargs):
            super().__init__(**kwargs)
            self.connection = connection

        def call(self, x):
            return x

    teacher = keras.Sequential([keras.Input((4,)), Unsaved(object()), layers.Dense(3)], name="t")
    with pytest.raises(ValueError, match=r"cannot be rebuilt.*get_config.*teacher='t'"):
        Distiller(net(3), teacher, teacher_dtype="bfloat16")
