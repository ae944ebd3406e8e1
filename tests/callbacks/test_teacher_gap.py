import functools

import keras
import numpy as np
import pytest
from models_for_tests import (
    assert_same_weights,
    distiller,
    examples,
    heads,
    inferred,
    log_softmax,
    net,
    numbers,
    sgd,
    softmax,
)
from variants import first_of

from keras_kd import Distiller, TeacherCache, losses
from keras_kd.callbacks import TeacherGap
from keras_kd.teachers import MovingAverage

pytestmark = pytest.mark.core
X, Y = examples(10)


def gap(teacher, student, weights=None):
    """What is to be logged of logits `(..., C)`, in float64."""
    p, q = log_softmax(teacher), log_softmax(student)
    kl = (np.exp(p) * (p - q)).sum(-1)
    agrees = teacher.argmax(-1) == student.argmax(-1)
    mean = np.average(kl, weights=weights)
    return {
        "teacher_agreement": np.average(agrees, weights=weights),
        "teacher_kl": mean,
        "teacher_kl_spread": np.sqrt(np.average((kl - mean) ** 2, weights=weights)),
    }


def logged(model, *data):
    """What is logged of an epoch in which nothing has moved."""
    callback, logs = TeacherGap(data if len(data) > 1 else data[0]), {}
    callback.set_model(model)
    callback.on_train_begin()
    callback.on_epoch_end(0, logs)
    return logs


@functools.cache
def pair():
    """A student and a teacher, which no test changes."""
    return net(), net(8, seed=1)


def assert_gap(found, expected):
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name


def test_it_is_that_of_the_two_models_on_the_data_after_each_epoch():
    student, teacher = net(), net(8, seed=1)
    model = distiller(student, teacher)
    held_out, _ = examples(37, seed=5)  # in batches, the last of which is not full
    weights = []

    class Keep(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            weights.append(self.model.student.get_weights())

    history = model.fit(X, Y, epochs=2, verbose=0, callbacks=[TeacherGap(held_out), Keep()]).history
    for epoch in (0, 1):
        then = net()
        then.set_weights(weights[epoch])
        expected = gap(inferred(teacher, held_out), inferred(then, held_out))
        assert_gap({name: history[name][epoch] for name in expected}, expected)


@pytest.mark.alike
def test_it_trains_nothing_and_changes_no_metric():
    def run(*callbacks):
        model = distiller(net(), net(8, seed=1), compiled={"metrics": ["accuracy"]})
        history = model.fit(
            X,
            Y,
            batch_size=5,
            shuffle=False,
            epochs=2,
            verbose=0,
            callbacks=list(callbacks),
            validation_data=(X, Y),
        ).history
        return model, history

    (plain, before), (watched, after) = run(), run(TeacherGap((X, Y)))
    assert_same_weights(watched.student, plain.student, atol=0.0)
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, rtol=1e-6, err_msg=name)
    assert set(after) - set(before) == {"teacher_agreement", "teacher_kl", "teacher_kl_spread"}


@pytest.mark.alike
def test_sample_weights_weigh():
    student, teacher = pair()
    weights = np.arange(10.0)
    found = logged(Distiller(student, teacher), X, Y, weights)
    assert_gap(found, gap(inferred(teacher, X), inferred(student, X), weights))


@pytest.mark.alike
def test_answers_in_the_data_are_read_in_each_of_their_forms():
    student, z = pair()[0], 2.0 * np.random.default_rng(3).normal(size=(10, 3))
    order = np.argsort(-z, axis=-1)[:, :2]
    log_p = np.take_along_axis(log_softmax(z), order, axis=-1)
    top_k = {
        "log_probabilities": log_p.astype("float32"),
        "indices": order.astype("int32"),
        "log_rest": np.log1p(-np.exp(log_p).sum(-1)).astype("float32"),
    }
    expected = gap(z, inferred(student, X))
    for form in (z.astype("float32"), {"probabilities": softmax(z).astype("float32")}, top_k):
        x = {"inputs": X, "teacher_outputs": form}
        assert_gap(logged(Distiller(student), x, Y), expected)


@pytest.mark.alike
def test_positions_that_the_loss_ignores_are_not_compared():
    student, teacher = pair()
    labels = np.where(np.arange(10) < 4, 255, Y)
    model = Distiller(student, teacher, kd_loss=losses.KDLoss(ignore_class=255))
    expected = gap(inferred(teacher, X), inferred(student, X), labels != 255)
    assert_gap(logged(model, X, labels), expected)


@pytest.mark.alike
def test_softmax_teachers_and_models_without_a_kd_loss_are_read_right():
    student, teacher = pair()
    soft = keras.Sequential([teacher, keras.layers.Softmax()])
    feature = losses.FitNetLoss(layers={"hidden": "hidden"})
    expected = gap(inferred(teacher, X), inferred(student, X))
    assert_gap(logged(Distiller(student, soft), X), expected)
    model = Distiller(student, teacher, kd_loss=None, feature_losses=[feature])
    assert_gap(logged(model, X), expected)


def test_outputs_have_names_and_weights_of_their_own():
    student, teacher = heads("abc"), heads("abc", seed=1)
    kd_loss = {"a": losses.KDLoss(), "b": losses.DKDLoss(), "c": losses.RegressionLoss()}
    y = dict.fromkeys("abc", Y)
    weights = {name: np.arange(10.0) + number for number, name in enumerate("abc")}
    found = logged(Distiller(student, teacher, kd_loss=kd_loss), X, y, weights)
    z = inferred(teacher, X), inferred(student, X)
    expected = {
        f"{name}_{figure}": value
        for name in "ab"
        for figure, value in gap(z[0][name], z[1][name], weights[name]).items()
    }
    assert_gap(found, expected)


def tagger(seed, masked):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((None,), dtype="int32")
    hidden = keras.layers.Embedding(7, 4, mask_zero=masked)(inputs)
    return keras.Model(inputs, keras.layers.Dense(3, name="tags")(hidden))


@first_of("masked", [(False, True), (True, False)])
def test_what_either_model_masks_counts_for_nothing(masked):
    student, teacher = (tagger(seed, each) for seed, each in enumerate(masked))
    tokens = np.array([[1, 2, 0, 0], [3, 0, 0, 0], [4, 5, 6, 1]])
    found = logged(Distiller(student, teacher), tokens)
    expected = gap(inferred(teacher, tokens), inferred(student, tokens), tokens > 0)
    assert_gap(found, expected)


@pytest.mark.alike
def test_callbacks_behind_it_can_watch_what_it_logs():
    model = distiller(net(), pair()[1], compiled={"optimizer": sgd(0.0)})
    stop = keras.callbacks.EarlyStopping("teacher_kl", mode="min", patience=1)
    history = model.fit(X, Y, epochs=5, verbose=0, callbacks=[TeacherGap(X), stop]).history
    assert len(history["teacher_kl"]) == 2


@pytest.mark.alike
def test_batch_normalization_and_dropout_rest_while_it_looks():
    keras.utils.set_random_seed(0)
    student = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(3),
        ]
    )
    teacher = pair()[1]
    before = numbers(student)
    found = logged(Distiller(student, teacher), X)
    for one, other in zip(before, numbers(student), strict=True):
        np.testing.assert_array_equal(one, other)
    assert_gap(found, gap(inferred(teacher, X), inferred(student, X)))


@pytest.mark.alike
def test_what_cannot_be_compared_is_told_before_the_first_step():
    student = net()
    before = numbers(student)
    carried = {"inputs": X, "teacher_outputs": np.zeros((10, 3), "float32")}
    regression = distiller(student, pair()[1], kd_loss=losses.RegressionLoss())
    live = distiller(student, pair()[1])
    for model, data, fit, message in [
        (distiller(student), X, (carried, Y), r"Received: x with \['inputs'\]"),
        (regression, X, (X, Y), r"Received: losses \['kd_loss: RegressionLoss'\]"),
        (live, [1.0], (X, Y), "`data` must be a batched"),
        (live, X[:, :3], (X, Y), "The student takes inputs"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.fit(*fit, verbose=0, callbacks=[TeacherGap(data)])
    for one, other in zip(before, numbers(student), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.alike
def test_weights_of_nothing_are_refused():
    with pytest.raises(ValueError, match="weights sum to 0 at kd_loss"):
        logged(Distiller(*pair()), X, Y, np.zeros(10))


@pytest.mark.alike
def test_a_plain_model_is_refused():
    model = net()
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match="Received: model=Functional"):
        model.fit(X, X[:, :3], verbose=0, callbacks=[TeacherGap(X)])


def test_a_teacher_that_moves_is_seen_where_it_is():
    student = net()
    teacher = MovingAverage(student, momentum=0.5)
    model = distiller(student, teacher, compiled={"optimizer": sgd(1.0)})
    found = model.fit(X, Y, verbose=0, callbacks=[TeacherGap(X)]).history
    z = inferred(teacher.model, X), inferred(student, X)
    expected = gap(*z)
    assert expected["teacher_kl"] > 1e-6
    assert_gap({name: found[name][-1] for name in expected}, expected)


class Task(keras.Sequential):
    """A model that brings a preprocessor in KerasHub's way."""

    preprocessor = keras.layers.Rescaling(1 / 255)

    def preprocess_samples(self, x, y=None, sample_weight=None):
        return keras.utils.pack_x_y_sample_weight(self.preprocessor(x), y, sample_weight)


@pytest.mark.alike
def test_raw_data_go_through_a_tasks_preprocessor_once():
    def task(seed):
        keras.utils.set_random_seed(seed)
        return Task([keras.Input((4,)), keras.layers.Dense(3)])

    student, teacher = task(0), task(1)
    found = logged(Distiller(student, teacher), 255.0 * X)
    assert_gap(found, gap(inferred(teacher, X), inferred(student, X)))


@pytest.mark.alike
def test_what_a_cache_labelled_is_read(tmp_path):
    student, teacher = pair()
    cache = TeacherCache(tmp_path, teacher, dtype="float32", top_k=2)
    found = logged(Distiller(student), cache.label(X).batch(4))
    assert_gap(found, gap(inferred(teacher, X), inferred(student, X)))
