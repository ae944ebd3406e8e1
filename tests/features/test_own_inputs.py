"""Models that are given one dict and take different names of it."""

import keras
import numpy as np
import pytest
from models_for_tests import EAGER, inferred

import keras_kd
from keras_kd.features.own_inputs import own_inputs
from keras_kd.losses import GradientLoss

pytestmark = pytest.mark.core

# In the order of their names, the student's own come second and third.
X = {
    name: np.random.default_rng(seed).normal(size=(8, 2)).astype("float32")
    for seed, name in enumerate("abc")
}
Y = np.arange(8) % 3


def net(names, seed):
    inputs = {name: keras.Input((2,), name=name) for name in names}
    start = keras.initializers.GlorotUniform(seed)
    joined = [keras.layers.Dense(4, "tanh", kernel_initializer=start)(x) for x in inputs.values()]
    outputs = keras.layers.Dense(3, kernel_initializer=start)(keras.layers.Add()([*joined]))
    return keras.Model(inputs, outputs)


@pytest.fixture
def student():
    return net("bc", 0)


@pytest.fixture
def teacher():
    return net("ac", 1)


def alone(model):
    return keras.ops.convert_to_numpy(model({name: X[name] for name in model.input}))


def compiled(*models, **arguments):
    distiller = keras_kd.Distiller(*models, alpha=0.5, **arguments)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    distiller.compile(keras.optimizers.SGD(0.0), loss, **EAGER)
    return distiller


def test_a_model_takes_its_own_names_and_no_others(student):
    assert list(own_inputs(X, student)) == ["b", "c"]
    assert own_inputs({"b": 1, "a": 2}, student) == {"b": 1}  # what is missing Keras will say
    assert list(own_inputs(X, keras_kd.teachers.Ensemble([student]))) == ["b", "c"]


def test_models_without_names_take_what_there_is(student):
    sequential = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    assert own_inputs(X, sequential) is X
    assert own_inputs(X["a"], student) is X["a"]


@pytest.mark.filterwarnings("error:The structure of `inputs`")
def test_student_and_teacher_read_their_own_inputs_of_one_dict(student, teacher):
    distiller = compiled(student, teacher)
    logs = distiller.fit(X, Y, batch_size=8, verbose=0).history
    expected = float(keras_kd.losses.KDLoss()(alone(teacher), alone(student)))
    # Float32, added up in another order.
    np.testing.assert_allclose(logs["kd_loss"][0], expected, rtol=1e-5)
    np.testing.assert_allclose(inferred(distiller, X), alone(student), atol=1e-6)


@pytest.mark.filterwarnings("error:The structure of `inputs`")
def test_gradients_to_inputs_of_which_each_model_has_some(student, teacher):
    compiled(student, teacher, feature_losses=[GradientLoss()]).fit(X, Y, verbose=0)


def test_members_of_an_ensemble_read_their_own_inputs(student, teacher):
    both = keras_kd.teachers.Ensemble([student, teacher], average="logits")
    expected = (alone(student) + alone(teacher)) / 2
    np.testing.assert_allclose(keras.ops.convert_to_numpy(both(X)), expected, atol=1e-6)


@pytest.mark.alike
def test_compare_gives_each_model_its_own_inputs(student, teacher):
    comparison = keras_kd.compare({"s": student, "t": teacher}, (X, Y))
    accuracies = [row["accuracy"] for row in comparison.rows]
    expected = [np.mean(alone(model).argmax(-1) == Y) for model in (student, teacher)]
    np.testing.assert_allclose(accuracies, expected, atol=1e-6)


@pytest.mark.alike
def test_a_name_that_is_missing_is_still_an_error(student, teacher):
    with pytest.raises(ValueError, match=r"Missing data for input .c."):
        compiled(student, teacher).fit({"a": X["a"], "b": X["b"]}, Y, verbose=0)


@pytest.mark.alike
@pytest.mark.parametrize("layers", [(), ("dense",)])
def test_a_cached_teacher_reads_its_own_inputs(tmp_path, layers):
    teacher = net("ac", 1)
    named = tuple(x.name for x in teacher.layers if x.name.startswith("dense"))[: len(layers)]
    cache = keras_kd.TeacherCache(tmp_path, teacher, dtype="float32", layers=named)
    given = [x["teacher_outputs"] for x, _ in cache.label((X, Y)).as_numpy_iterator()]
    np.testing.assert_allclose(given, alone(teacher), atol=1e-6)
