"""Students that teach each other, against the equation computed by hand."""

import keras
import numpy as np
import pytest
from keras import ops
from models_for_tests import (
    COMPILED,
    EAGER,
    assert_same_weights,
    cross_entropy,
    examples,
    inferred,
    kd,
    largest_move,
    linear,
    log_softmax,
    net,
    numbers,
    sgd,
    softmax,
)

from keras_kd.callbacks import AlphaScheduler, LossWeightScheduler, TemperatureScheduler
from keras_kd.losses import BinaryKDLoss, KDLoss, RegressionLoss
from keras_kd.schemes import MutualDistiller

pytestmark = pytest.mark.core
T, WEIGHT = 2.0, 0.7


def named(student, name):
    student.name = name
    return student


def cohort(count=2, **kwargs):
    """Linear students of other weights each."""
    rng = np.random.default_rng(1)
    kernels = rng.normal(size=(count, 4, 3))
    return [named(linear(kernel, **kwargs), f"s{n}") for n, kernel in enumerate(kernels)]


def compiled(students, metrics=None, loss=None, **kwargs):
    model = MutualDistiller(students, **kwargs)
    loss = cross_entropy() if loss is None else loss
    model.compile(sgd(), loss, metrics=metrics, **EAGER)
    return model


def label_loss(z, y):
    return -log_softmax(z)[np.arange(len(y)), y].mean()


def logs_of(model, *data, **kwargs):
    return model.test_on_batch(*data, return_dict=True, **kwargs)


@pytest.mark.alike
def test_two_students_against_float64():
    x, y = examples()
    students = cohort()
    a, b = (x.astype("float64") @ numbers(student)[0] for student in students)
    model = compiled(students, temperature=T, weight=WEIGHT)
    logs = logs_of(model, x, y)
    expected = {
        "s0_loss": label_loss(a, y),
        "s1_loss": label_loss(b, y),
        "s0_mutual_loss": kd(b, a, T).mean(),  # KL(p_b || p_a): the peer's distribution is first
        "s1_mutual_loss": kd(a, b, T).mean(),
    }
    loss = expected["s0_loss"] + expected["s1_loss"]
    loss += WEIGHT * (expected["s0_mutual_loss"] + expected["s1_mutual_loss"])
    assert set(logs) == {*expected, "loss"}
    for name, value in {**expected, "loss": loss}.items():
        np.testing.assert_allclose(logs[name], value, rtol=2e-5, err_msg=name)


def test_one_step_moves_each_student_by_its_own_gradient():
    x, y = examples()
    students = cohort()
    before = [numbers(student) for student in students]
    z = [x.astype("float64") @ kernel for kernel, _ in before]
    one_hot = np.eye(3)[y]
    compiled(students, temperature=T, weight=WEIGHT).train_on_batch(x, y)
    for mine, peer in ((0, 1), (1, 0)):
        # d CE / dz = p - y; d T^2 KL(p_peer || p) / dz = T (p_T - p_peer_T), the peer held still.
        soft = softmax(z[mine] / T) - softmax(z[peer] / T)
        slope = (softmax(z[mine]) - one_hot + WEIGHT * T * soft) / len(x)
        kernel, bias = numbers(students[mine])
        np.testing.assert_allclose(kernel, before[mine][0] - 0.1 * x.T @ slope, atol=1e-6)
        np.testing.assert_allclose(bias, before[mine][1] - 0.1 * slope.sum(0), atol=1e-6)


@pytest.mark.alike
def test_a_frozen_student_stays_and_teaches():
    x, y = examples()
    students = cohort()
    students[1].trainable = False
    before = [numbers(student) for student in students]
    compiled(students).fit(x, y, verbose=0)
    assert largest_move(students[1], before[1]) == 0.0
    assert largest_move(students[0], before[0]) > 0.0


@pytest.mark.alike
@pytest.mark.parametrize("learn_from", ["each", "mean"])
def test_three_students(learn_from):
    x, y = examples()
    students = cohort(3)
    z = [x.astype("float64") @ numbers(student)[0] for student in students]
    logs = logs_of(compiled(students, temperature=T, learn_from=learn_from), x, y)
    mean = np.log(np.mean([softmax(each) for each in z], axis=0))
    for k in range(3):
        others = [z[j] for j in range(3) if j != k] if learn_from == "each" else [mean]
        expected = np.mean([kd(other, z[k], T).mean() for other in others])
        np.testing.assert_allclose(logs[f"s{k}_mutual_loss"], expected, rtol=1e-5)


@pytest.mark.alike
@pytest.mark.parametrize("learn_from", ["each", "mean"])
def test_probabilities_teach_what_their_logits_do(learn_from):
    x, y = examples()
    of_logits = logs_of(compiled(cohort(), learn_from=learn_from), x, y)
    students = cohort(activation="softmax")
    loss = keras.losses.SparseCategoricalCrossentropy()
    of_softmax = logs_of(compiled(students, loss=loss, learn_from=learn_from), x, y)
    for name, value in of_logits.items():
        np.testing.assert_allclose(of_softmax[name], value, rtol=1e-4, err_msg=name)


@pytest.mark.alike
def test_examples_without_a_label_are_learned_from_each_other():
    x, y = examples()
    students = cohort()
    model = compiled(students, loss=cross_entropy(ignore_class=-1))
    logs = logs_of(model, x, np.full_like(y, -1))
    assert logs["s0_loss"] == 0.0
    a, b = (x.astype("float64") @ numbers(student)[0] for student in students)
    np.testing.assert_allclose(logs["loss"], kd(b, a, 1.0).mean() + kd(a, b, 1.0).mean(), rtol=1e-5)
    # Without any labels there is no loss on them to compile.
    model = MutualDistiller(students)
    model.compile(sgd(), **EAGER)
    history = model.fit(x, verbose=0).history
    assert set(history) == {"loss", "s0_mutual_loss", "s1_mutual_loss"}
    np.testing.assert_allclose(history["loss"][0], logs["loss"], rtol=1e-5)


@pytest.mark.alike
def test_weights_and_ignored_classes_count_in_every_term():
    x, y = examples()
    weights = np.array([0.0, 1.0, 3.0] * 4)
    a, b = (x.astype("float64") @ numbers(student)[0] for student in cohort())
    logs = logs_of(compiled(cohort()), x, y, sample_weight=weights)
    expected = (kd(b, a, 1.0) * weights).mean()
    np.testing.assert_allclose(logs["s0_mutual_loss"], expected, rtol=1e-5)
    per_sample = -log_softmax(a)[np.arange(len(y)), y]
    np.testing.assert_allclose(logs["s0_loss"], (per_sample * weights).mean(), rtol=1e-5)
    ignoring = compiled(
        cohort(), loss=cross_entropy(ignore_class=-1), kd_loss=KDLoss(ignore_class=-1)
    )
    logs = logs_of(ignoring, x, np.where(y == 0, -1, y))
    np.testing.assert_allclose(logs["s0_mutual_loss"], kd(b, a, 1.0)[y != 0].mean(), rtol=1e-5)


@pytest.mark.parametrize("learn_from", ["each", pytest.param("mean", marks=pytest.mark.alike)])
def test_padding_counts_for_nothing(learn_from):
    def tagger(seed):
        keras.utils.set_random_seed(seed)
        layers = [keras.layers.Embedding(9, 3, mask_zero=True), keras.layers.Dense(3)]
        return keras.Sequential([keras.Input((4,), dtype="int32"), *layers], name=f"s{seed}")

    words, tags = np.array([[3, 5, 0, 0], [1, 2, 8, 0]]), np.zeros((2, 4), "int32")
    students = [tagger(0), tagger(1)]
    z = [inferred(student, words)[words > 0] for student in students]
    if learn_from == "mean":
        z[1] = np.log(np.mean([softmax(each) for each in z], axis=0))
    logs = logs_of(compiled(students, learn_from=learn_from), words, tags)
    np.testing.assert_allclose(logs["s0_mutual_loss"], kd(z[1], z[0], 1.0).mean(), rtol=1e-4)


@pytest.mark.alike
def test_multilabel_students_and_those_of_real_values():
    x, _ = examples()
    y = np.zeros((12, 3), "float32")
    yes_no = compiled(
        cohort(activation="sigmoid"),
        loss="binary_crossentropy",
        kd_loss=BinaryKDLoss(),
        learn_from="mean",
    )
    real = compiled(cohort(), loss="mse", kd_loss=RegressionLoss())
    for model in (yes_no, real):
        assert np.isfinite(model.fit(x, y, verbose=0).history["s1_mutual_loss"][0])
    a, b = (x @ numbers(student)[0] for student in cohort())
    expected = np.square(a - b).sum(-1).mean()
    fresh = compiled(cohort(), loss="mse", kd_loss=RegressionLoss())
    np.testing.assert_allclose(logs_of(fresh, x, y)["s0_mutual_loss"], expected, rtol=1e-4)


@pytest.mark.parametrize(
    "how",
    [EAGER, pytest.param({**COMPILED, "steps_per_execution": 2}, marks=pytest.mark.slow)],
    ids=["simple", "compiled"],
)
def test_fit_as_keras_does_with_students_of_other_architectures(how):
    x, y = examples(24)
    students = [named(net(5, seed=1, kernel_regularizer="l2"), "a"), named(net(3, seed=2), "b")]
    students[0].layers[-1].bias.assign([1.0, 0.0, -1.0])
    model = MutualDistiller(students)
    metric = keras.metrics.SparseCategoricalAccuracy(name="right")
    model.compile("adam", cross_entropy(), metrics=["accuracy", metric], **how)
    history = model.fit(
        x,
        y,
        batch_size=6,
        epochs=2,
        class_weight={0: 1.0, 1: 2.0, 2: 0.5},
        validation_data=(x, y),
        verbose=0,
    ).history
    figures = ["loss", "mutual_loss", "accuracy", "right"]
    wanted = {"loss", *(f"{name}_{figure}" for name in "ab" for figure in figures)}
    assert set(history) == wanted | {f"val_{name}" for name in wanted}
    given = inferred(model, x)
    for student in students:
        np.testing.assert_allclose(given[student.name], inferred(student, x), atol=1e-5)
        right = (given[student.name].argmax(-1) == y).mean()
        np.testing.assert_allclose(history[f"val_{student.name}_right"][-1], right, atol=1e-6)
        # Each is evaluated alone by what it was trained with.
        student.run_eagerly = EAGER["run_eagerly"]
        alone = student.evaluate(x, y, verbose=0, return_dict=True)
        np.testing.assert_allclose(alone["right"], right, atol=1e-6)


@pytest.mark.alike
def test_a_student_that_was_compiled_stays_so_and_metrics_can_be_named():
    x, y = examples()
    students = cohort()
    students[0].compile("adam", "mse")
    model = compiled(students, metrics={"s1": ["accuracy"]}, temperature=T)
    assert students[0].loss == "mse"
    assert "s0_accuracy" not in (logs := logs_of(model, x, y))
    assert "s1_accuracy" in logs
    assert students[1].loss is model.loss["s1"]


@pytest.mark.alike
def test_temperature_and_weight_follow_a_running_training():
    x, y = examples()
    model = compiled(cohort())
    first = logs_of(model, x, y)
    model.weight.assign(0.0)
    second = logs_of(model, x, y)
    np.testing.assert_allclose(second["loss"], first["s0_loss"] + first["s1_loss"], rtol=1e-5)


def test_an_error_in_a_step_leaves_the_students_their_weights():
    x, y = examples()
    students = cohort()
    model = compiled(students)
    model.fit(x, y, verbose=0)
    students[0].set_weights([np.full_like(w, 0.5) for w in students[0].get_weights()])
    kept = [numbers(student) for student in students]
    with pytest.raises(ValueError, match="need labels"):
        model.fit(x, verbose=0)
    for student, before in zip(students, kept, strict=True):
        for now, then in zip(numbers(student), before, strict=True):
            np.testing.assert_array_equal(now, then)


@pytest.mark.alike
def test_schedules_change_it_as_they_do_a_distiller():
    x, y = examples()
    model = compiled(cohort())
    schedules = [
        TemperatureScheduler(lambda epoch: 2.0 + epoch),
        LossWeightScheduler("mutual_loss", lambda step: 0.1 * step, per="batch"),
    ]
    fit = {"batch_size": 8, "epochs": 2, "verbose": 0}
    history = model.fit(x, y, callbacks=schedules, **fit).history
    batches = -(-len(x) // 8)
    assert history["temperature"] == [2.0, 3.0]
    last = [0.1 * (batches - 1), 0.1 * (2 * batches - 1)]
    np.testing.assert_allclose(history["mutual_loss_weight"], last, rtol=1e-6)
    with pytest.raises(TypeError, match=r"AlphaScheduler .* Received: model=MutualDistiller"):
        model.fit(x, y, callbacks=[AlphaScheduler(lambda epoch: 0.5)], **fit)


@pytest.mark.alike
def test_saved_and_resumed(tmp_path):
    x, y = examples()
    students = [named(net(seed=1), "a"), named(net(3, seed=2), "b")]
    model = MutualDistiller(students, temperature=T, weight=WEIGHT, learn_from="mean")
    model.compile("adam", cross_entropy(), metrics=["accuracy"], **EAGER)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "both.keras")
    loaded = keras.saving.load_model(tmp_path / "both.keras")
    assert loaded.get_config() == model.get_config()
    for each in (model, loaded):
        each.run_eagerly = EAGER["run_eagerly"]
        each.fit(x, y, shuffle=False, verbose=0)
    assert_same_weights(loaded, model)
    assert [student.name for student in loaded.students] == ["a", "b"]
    assert logs_of(loaded, x, y) == pytest.approx(logs_of(model, x, y), rel=1e-5)
    model.save_weights(tmp_path / "both.weights.h5")
    twins = [named(net(seed=3), "a"), named(net(3, seed=4), "b")]
    MutualDistiller(twins).load_weights(tmp_path / "both.weights.h5")
    assert_same_weights(twins[0], students[0])


@pytest.mark.alike
def test_half_precision():
    x, y = examples()
    students = [named(net(seed=n, dtype="mixed_float16"), f"s{n}") for n in range(2)]
    for student in students:
        student.dtype_policy = keras.DTypePolicy("mixed_float16")
    model = compiled(students)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    history = model.fit(x, y, verbose=0).history
    z = [np.asarray(ops.convert_to_numpy(inferred(s, x)), "float64") for s in students]
    assert np.isfinite(history["loss"][0])
    logs = logs_of(model, x, y)
    np.testing.assert_allclose(logs["s0_mutual_loss"], kd(z[1], z[0], 1.0).mean(), rtol=2e-3)
