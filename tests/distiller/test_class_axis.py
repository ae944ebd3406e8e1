"""A softmax over another axis than the last."""

import keras
import numpy as np
import pytest
from keras import layers
from models_for_tests import distiller, inferred, kd

from keras_kd import TeacherCache
from keras_kd.teachers import Ensemble

pytestmark = [pytest.mark.core, pytest.mark.alike]

PLACES, CLASSES = 4, 3
X = np.random.default_rng(0).normal(size=(5, 2)).astype("float32")


def model(seed, *last, classes_first=True):
    """Scores of `(classes, places)`, or the other way round, and what comes behind them."""
    keras.utils.set_random_seed(seed)
    shape = (CLASSES, PLACES) if classes_first else (PLACES, CLASSES)
    return keras.Sequential(
        [keras.Input((2,)), layers.Dense(PLACES * CLASSES), layers.Reshape(shape), *last]
    )


def kd_loss(student, teacher, x=X):
    one = distiller(student, teacher, alpha=0.0, temperature=2.0)
    return one.fit(x, batch_size=5, verbose=0).history["kd_loss"][0]


def expected(student, teacher, axis=1):
    """The divergence over the classes, a mean over the places."""
    probabilities = [np.moveaxis(inferred(each, X), axis, -1) for each in (teacher, student)]
    return kd(*(np.log(p) for p in probabilities), 2.0).mean()


def test_classes_that_come_first_are_compared_as_classes():
    student, teacher = (model(seed, layers.Softmax(axis=1)) for seed in (0, 1))
    value = expected(student, teacher)
    assert kd_loss(student, teacher) == pytest.approx(value, rel=1e-4)


def test_one_softmax_tells_where_the_other_models_logits_are():
    student, teacher = model(0), model(1, layers.Softmax(axis=1))
    with_softmax = keras.Sequential([keras.Input((2,)), student, layers.Softmax(axis=1)])
    value = expected(with_softmax, teacher)
    assert kd_loss(student, teacher) == pytest.approx(value, rel=1e-4)


def test_classes_that_a_layer_moves_behind_the_softmax_are_followed():
    student = model(0, layers.Softmax(axis=1), layers.Permute((2, 1)))
    teacher = model(1, layers.Softmax(), classes_first=False)
    value = expected(student, teacher, axis=2)
    assert kd_loss(student, teacher) == pytest.approx(value, rel=1e-4)


def test_answers_in_the_data_are_compared_over_the_students_classes():
    student, teacher = (model(seed, layers.Softmax(axis=1)) for seed in (0, 1))
    value = expected(student, teacher)
    x = {"inputs": X, "teacher_outputs": np.log(inferred(teacher, X))}
    assert kd_loss(student, None, x) == pytest.approx(value, rel=1e-4)


def test_classes_at_different_places_are_an_error():
    student = model(0, layers.Softmax(axis=1))
    with pytest.raises(ValueError, match=r"different axes.*Permute.*\[-2, -1\]"):
        distiller(student, model(1, layers.Softmax()))


@pytest.mark.parametrize("last", [layers.Reshape((PLACES, CLASSES), name="rows"), layers.Flatten()])
def test_classes_that_are_joined_with_places_are_an_error_with_what_to_declare(last):
    models = [model(seed, layers.Softmax(axis=1), last) for seed in (0, 1)]
    with pytest.raises(ValueError, match=r"say KDLoss\(student_from_logits=True\) or False"):
        distiller(*models)


def test_a_cache_and_an_ensemble_want_the_classes_last(tmp_path):
    teacher = model(1, layers.Softmax(axis=1))
    with pytest.raises(ValueError, match=r"must be over the last axis.*\[-2\]"):
        TeacherCache(tmp_path, teacher).label(X)
    with pytest.raises(ValueError, match=r"must be over the last axis.*\[-2\]"):
        Ensemble([teacher, model(2, layers.Softmax(axis=1))])
