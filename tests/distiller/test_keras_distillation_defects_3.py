"""What `keras.distillation` gets wrong and is right here: rows 16 to 21 of the project's list."""

import keras
import numpy as np
import pytest
from models_for_tests import (
    COMPILED,
    EAGER,
    Counter,
    assert_same_weights,
    cross_entropy,
    distiller,
    examples,
    inferred,
    kd,
    largest_move,
    log_softmax,
    logs,
    net,
    numbers,
    sgd,
)
from variants import alike_but_first, ways_to_run

from keras_kd import Distiller
from keras_kd.features import Tap
from keras_kd.losses import ATLoss, FitNetLoss, KDLoss, RegressionLoss

core = pytest.mark.core


# Row 16


def tagger(width, seed=0):
    """Scores every token; token 0 is padding."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((None,), dtype="int32")
    hidden = keras.layers.Embedding(7, width, mask_zero=True, name="embedding")(inputs)
    return keras.Model(inputs, keras.layers.Dense(3, name="scores")(hidden))


@pytest.mark.alike
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


@pytest.mark.alike
@core
def test_only_real_tokens_count():
    tokens, labels = np.array([[1, 2, 0], [3, 0, 0]]), np.zeros((2, 3))
    student, teacher = tagger(4), tagger(4, seed=1)
    for model in (student, teacher):  # far apart, so that float32 tells the divergences well
        model.get_layer("embedding").embeddings.assign(np.random.default_rng(1).normal(size=(7, 4)))
    real = tokens > 0
    by_hand = kd(inferred(teacher, tokens), inferred(student, tokens), 4.0)
    model = distiller(student, teacher, validate_with_teacher=True)
    assert logs(model, tokens, labels)["kd_loss"] == pytest.approx(by_hand[real].mean(), rel=1e-4)


# Row 17


@core
@alike_but_first("student_end", ["softmax", None])
@alike_but_first("teacher_end", ["softmax", None])
def test_models_that_end_in_softmax_are_not_softmaxed_again(student_end, teacher_end):
    x, y = examples(8)
    by_hand = kd(inferred(net(9, seed=1), x), inferred(net(), x), 4.0).mean()
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


# XLA compiles this step, too: `test_acceleration.py` shows that it gives the same.
BY_XLA = pytest.param({"jit_compile": True}, marks=pytest.mark.slow)


@core
@pytest.mark.parametrize(
    "accelerated", [*ways_to_run(COMPILED, {"steps_per_execution": 2}), BY_XLA]
)
def test_a_changed_temperature_alpha_or_weight_counts_in_the_running_step(accelerated):
    x, y = examples(8)
    student, teacher = net(), net(9, seed=1)
    z_s, z_t = inferred(student, x), inferred(teacher, x)
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


@pytest.mark.alike
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
    by_hand = kd(inferred(teacher, x), inferred(student, x), 4.0).mean()
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


@pytest.mark.alike
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


# Row 20 (nested, Sequential and subclassed models: test_structures.py)


@pytest.mark.alike
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
@alike_but_first(("validates", "extra"), [(True, 3), (False, 0)])
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
    inferred(model, x)
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
    outputs = inferred(teacher, x)
    cached = distiller(taught)
    one = cached.fit(
        {"inputs": x, "teacher_outputs": outputs},
        y,
        batch_size=6,
        epochs=2,
        shuffle=False,
        verbose=0,
    ).history
    other = (
        distiller(live, teacher).fit(x, y, batch_size=6, epochs=2, shuffle=False, verbose=0).history
    )
    assert_same_weights(taught, live)
    assert set(one) == set(other)
    for name, values in one.items():
        np.testing.assert_allclose(values, other[name], rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(inferred(cached, x), inferred(taught, x))
