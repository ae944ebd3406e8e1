import keras
import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

from keras_kd import Distiller, TeacherCache
from keras_kd.losses import BoundedRegressionLoss, RegressionLoss


@pytest.fixture(scope="module")
def rows():
    random = np.random.default_rng(0)
    x = random.normal(size=(64, 3)).astype("float32")
    return x, (x[:, :1] ** 2 + x[:, 1:2]).astype("float32")


@pytest.fixture(scope="module")
def forest(rows):
    x, y = rows
    return RandomForestRegressor(5, random_state=0).fit(x, y[:, 0])


def line():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])


def distilled(student, train, loss, epochs=60):
    distiller = Distiller(student, alpha=0.0, kd_loss=loss)
    distiller.compile(keras.optimizers.Adam(0.1), "mse", jit_compile=False)
    distiller.fit(train.batch(64), epochs=epochs, verbose=0)


@pytest.mark.slow
def test_a_line_learns_the_least_squares_of_what_a_forest_says(rows, forest, tmp_path):
    x, y = rows
    cache = TeacherCache(
        tmp_path, lambda x: forest.predict(x)[:, None], dtype="float32", from_logits=True
    )
    student = line()
    distilled(student, cache.label((x, y)), RegressionLoss(), epochs=200)
    design = np.concatenate([x, np.ones((64, 1))], axis=1)
    best = np.linalg.lstsq(design, forest.predict(x), rcond=None)[0]
    found = np.concatenate([weight.ravel() for weight in student.get_weights()])
    np.testing.assert_allclose(found, best, atol=2e-2)


@pytest.mark.parametrize("loss", [RegressionLoss(), BoundedRegressionLoss()])
def test_a_teacher_that_gives_no_column_is_refused(rows, forest, tmp_path, loss):
    train = TeacherCache(tmp_path, forest.predict, from_logits=True).label(rows)
    with pytest.raises(ValueError, match=r"teacher=\(\w+,\).*student=\(\w+, 1\)"):
        distilled(line(), train, loss, epochs=1)


def test_bounds_need_labels_of_the_outputs_shape(rows, forest, tmp_path):
    x, y = rows
    cache = TeacherCache(tmp_path, lambda x: forest.predict(x)[:, None], from_logits=True)
    wide = np.concatenate([y, y], axis=1)
    with pytest.raises(ValueError, match=r"labels.*teacher=\(\w+, 2\).*student=\(\w+, 1\)"):
        distilled(line(), cache.label((x, wide)), BoundedRegressionLoss(), epochs=1)
