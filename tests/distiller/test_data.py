"""However the data come: the same training, and what is derived by hand."""

import keras
import numpy as np
import pytest
from keras import layers
from models_for_tests import (
    EAGER,
    assert_same_weights,
    cross_entropy,
    distiller,
    examples,
    largest_move,
    linear,
    net,
    numbers,
    sgd,
    softmax,
)
from training_runs import (
    HINT,
    Batches,
    assert_same_training,
    core,
    needs_tensorflow,
    reference,
    trained,
)
from variants import alike_but_first, first_of

from keras_kd import Distiller
from keras_kd.losses import FitNetLoss


@core
@first_of("optimizer", [lambda: keras.optimizers.Adam(0.01), sgd], ids=["adam", "sgd"])
def test_alpha_1_without_a_distillation_loss_is_the_student_alone(optimizer):
    def student():
        keras.utils.set_random_seed(0)
        return keras.Sequential(
            [
                keras.Input((4,)),
                layers.Dense(5, "tanh", kernel_regularizer="l2"),
                layers.BatchNormalization(),
                layers.Dropout(0.3, seed=7),
                layers.Dense(3),
            ]
        )

    x, y = examples(12)
    weights = np.linspace(0.5, 2.0, 12)
    alone, taught = student(), student()
    model = Distiller(taught, net(9, seed=1), alpha=1.0, kd_loss=None)
    found = []
    for fitted in (alone, model):
        fitted.compile(optimizer(), cross_entropy(), metrics=["accuracy"], **EAGER)
        found.append(
            fitted.fit(
                x, y, sample_weight=weights, batch_size=5, epochs=2, shuffle=False, verbose=0
            ).history
        )
    assert_same_weights(taught, alone)
    for name, values in found[0].items():
        np.testing.assert_allclose(found[1][name], values, rtol=1e-5, err_msg=name)


@core
def test_a_step_of_a_linear_student_is_the_one_derived_by_hand():
    x, y = examples(6)
    kernel, theirs = (np.random.default_rng(i).normal(size=(4, 3)) for i in (1, 2))
    alpha, temperature, rate = 0.3, 2.0, 0.5
    z_s, z_t = x @ kernel, x @ theirs
    by_labels = softmax(z_s) - np.eye(3)[y]
    # d/dz T^2 KL(softmax(z_t / T), softmax(z_s / T)) = T (softmax(z_s / T) - softmax(z_t / T))
    by_teacher = temperature * (softmax(z_s / temperature) - softmax(z_t / temperature))
    gradient = (alpha * by_labels + (1 - alpha) * by_teacher) / len(x)
    student = linear(kernel)
    distiller(
        student,
        linear(theirs),
        alpha=alpha,
        temperature=temperature,
        compiled={"optimizer": sgd(rate)},
    ).fit(x, y, batch_size=6, verbose=0)
    np.testing.assert_allclose(numbers(student)[0], kernel - rate * x.T @ gradient, atol=1e-6)
    np.testing.assert_allclose(numbers(student)[1], -rate * gradient.sum(0), atol=1e-6)


@core
def test_pydatasets_and_generators_train_as_arrays_do():
    x, y = examples(12)

    def generator():
        while True:
            yield from (batches[index] for index in range(len(batches)))

    batches = Batches(x, y)
    assert_same_training(reference(), trained(batches))
    assert_same_training(reference(), trained(generator(), steps_per_epoch=3))


@needs_tensorflow
def test_tf_data_trains_as_arrays_do():
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices(examples(12)).batch(5)
    assert_same_training(reference(), trained(data))
    assert_same_training(reference(), trained(data.repeat(), steps_per_epoch=3))


@pytest.mark.alike
@core
def test_validation_split_is_plain_keras_validation():
    x, y = examples(12)
    x = np.concatenate([x, 2 * x[:4]])
    y = np.concatenate([y, y[:4]])
    student, history = trained((x, y), batch_size=5, validation_split=0.25)
    student.compile(loss=cross_entropy())
    alone = student.evaluate(x[12:], y[12:], verbose=0)
    assert history["val_loss"][-1] == pytest.approx(alone, rel=1e-5)
    assert_same_weights(student, reference()[0])


@pytest.mark.alike
@core
def test_labels_of_other_shapes_train_the_same():
    x, y = examples(12)
    one_hot = np.eye(3, dtype="float32")[y]
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    assert_same_training(reference(), trained((x, one_hot), batch_size=5, compiled={"loss": loss}))
    assert_same_training(reference(), trained((x, y[:, None]), batch_size=5))


@pytest.mark.alike
@core
@pytest.mark.parametrize("by", ["class_weight", "sample_weight", "in the data"])
def test_weights_are_those_put_in_by_hand(by):
    # A class that counts twice is a class whose examples come twice.
    x, y = examples(12)
    weights = {0: 0.0, 1: 1.0, 2: 2.0}
    by_example = np.array([weights[label] for label in y], "float32")
    student, teacher = linear(np.eye(4)[:, :3]), linear(np.eye(4)[:, ::-1][:, :3])
    z_s, z_t = x[:, :3].astype("float64"), x[:, ::-1][:, :3].astype("float64")
    gradient = 0.3 * (softmax(z_s) - np.eye(3)[y]) + 0.7 * 4 * (softmax(z_s / 4) - softmax(z_t / 4))
    gradient *= by_example[:, None] / len(x)
    model = distiller(student, teacher, alpha=0.3)
    if by == "in the data":
        model.fit(Batches(x, y, by_example, size=12), verbose=0)
    else:
        given = weights if by == "class_weight" else by_example
        model.fit(x, y, batch_size=12, verbose=0, **{by: given})
    np.testing.assert_allclose(
        numbers(student)[0], np.eye(4)[:, :3] - 0.1 * x.T @ gradient, atol=1e-6
    )


def tagger(width, seed=0):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((None,), dtype="int32")
    hidden = layers.Embedding(7, width, mask_zero=True, name="embedding")(inputs)
    hidden = layers.GRU(width, return_sequences=True, name="hidden")(hidden)
    return keras.Model(inputs, layers.Dense(3, name="scores")(hidden))


@core
@first_of("weighted", [False, True])
def test_padding_to_another_length_changes_nothing(weighted):
    rng = np.random.default_rng(0)
    tokens, labels = rng.integers(1, 7, (6, 5)), rng.integers(0, 3, (6, 5))
    for row, end in enumerate((2, 5, 3, 1, 4, 5)):
        tokens[row, end:] = 0
    by_token = np.linspace(0.0, 2.0, 30).reshape(6, 5)
    runs = []
    for padding in (0, 3):
        student = tagger(4)
        model = distiller(
            student, tagger(4, seed=1), feature_losses=[FitNetLoss(layers=HINT, weight=1.0)]
        )
        x, y, w = (np.pad(a, ((0, 0), (0, padding))) for a in (tokens, labels, by_token))
        weights = {"sample_weight": w} if weighted else {}
        runs.append((student, model.fit(x, y, batch_size=6, verbose=0, **weights).history))
    assert_same_training(*runs)


@core
@alike_but_first("loss", [None, "given"])
def test_unlabelled_data_train_at_alpha_0(loss):
    x, y = examples(8)
    runs = []
    for labels in (None, y):
        student = net()
        compiled = {"loss": cross_entropy() if loss or labels is not None else None}
        model = distiller(student, net(9, seed=1), alpha=0.0, compiled=compiled)
        runs.append((student, model.fit(x, labels, batch_size=4, shuffle=False, verbose=0)))
    assert_same_weights(runs[0][0], runs[1][0])
    assert set(runs[0][1].history) == {"loss", "kd_loss"}


@pytest.mark.alike
@core
def test_unlabelled_data_come_in_any_container():
    x, _ = examples(8)
    student, other = net(), net()
    for model, data in ((student, x), (other, Batches(x, size=4))):
        distiller(model, net(9, seed=1), alpha=0.0, compiled={"loss": None}).fit(
            data, verbose=0, shuffle=False, **({"batch_size": 4} if data is x else {})
        )
    assert_same_weights(student, other)


@core
def test_labelled_and_unlabelled_training_follow_each_other():
    x, y = examples(8)
    model = distiller(net(), net(9, seed=1), alpha=0.0, compiled={"metrics": ["accuracy"]})
    first = model.fit(x, verbose=0).history
    second = model.fit(x, y, verbose=0).history
    third = model.fit(x, verbose=0).history
    assert "student_loss" in second
    assert "student_loss" not in first and "student_loss" not in third


def nothing():
    yield from ()


@pytest.mark.alike
@core
@pytest.mark.parametrize(
    "data", [lambda: (np.zeros((0, 4)), np.zeros(0)), lambda: (nothing(),), lambda: (Batches([]),)]
)
@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_a_data_set_that_yields_nothing_is_an_error(method, data):
    student = net()
    before = numbers(student)
    model = distiller(student, net(9, seed=1))
    with pytest.raises(ValueError, match=r"no batch|at least one batch|length 0"):
        getattr(model, method)(*data(), verbose=0)
    assert largest_move(student, before) == 0


@needs_tensorflow
def test_a_tf_data_set_that_yields_nothing_is_an_error():
    import tensorflow as tf

    x, y = examples(8)
    empty = tf.data.Dataset.from_tensor_slices((x, y)).filter(lambda x, y: False).batch(4)
    model = distiller(net(), net(9, seed=1))
    for run in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match="no batch"):
            run(empty, verbose=0)
    with pytest.raises(ValueError, match="no batch"):
        model.fit(x, y, validation_data=empty, verbose=0)


@core
def test_a_fit_that_has_no_epoch_left_is_no_error():
    x, y = examples(8)
    model = distiller(net(), net(9, seed=1))
    assert model.fit(x, y, epochs=2, initial_epoch=2, verbose=0).history == {}
