"""A batch that makes the teacher's losses no numbers ends `fit`, which names what is at fault."""

import keras
import numpy as np
import pytest
from models_for_tests import COMPILED, EAGER, distiller, examples, inferred, net
from variants import alike_but_first, first_of, of_compiled_steps

from keras_kd import Distiller
from keras_kd.losses import CRDLoss, DKDLoss, KDLoss, LogitsMSELoss, NKDLoss

pytestmark = pytest.mark.core

X, Y = examples(12)
BROKEN = X.copy()
BROKEN[9] = np.nan  # in the third batch of four


def batches(x, y):
    """Data that `fit` can look at only batch by batch."""

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, number):
            rows = slice(4 * number, 4 * number + 4)
            return keras.tree.map_structure(lambda leaf: leaf[rows], (x, y))

    return Batches()


def fit(model, x, y=Y, **kwargs):
    return model.fit(batches(x, y), verbose=0, shuffle=False, **kwargs)


def is_finite(model):
    return all(np.isfinite(weight).all() for weight in model.get_weights())


def own_inputs(x):
    """The student sees numbers, the teacher what it is given."""
    return {"inputs": X, "teacher_inputs": x}


@alike_but_first("kd_loss", [KDLoss(), LogitsMSELoss(), DKDLoss()])
def test_a_teacher_that_answers_no_numbers_is_named(kd_loss):
    student, teacher = net(), net(8, seed=1)
    model = distiller(student, teacher, alpha=0.5, kd_loss=kd_loss)
    message = r"teacher answers must be finite.*batch 2 of epoch 0, both from 0, teacher 'func"
    with pytest.raises(ValueError, match=message):
        fit(model, own_inputs(BROKEN))
    assert np.isfinite(inferred(teacher, X)).all()  # it is as it was, on JAX too


def test_a_compiled_step_names_it_too():
    model = distiller(net(), net(8, seed=1), alpha=0.5, compiled=COMPILED, teacher_dtype="float16")
    fit(model, own_inputs(X))
    with pytest.raises(ValueError, match=r"epoch 0, both from 0, teacher .* in float16"):
        fit(model, own_inputs(X * 1e6))


@pytest.mark.alike
def test_answers_that_travel_with_the_data_are_named():
    model = distiller(net(), alpha=0.5)
    x = {"inputs": X, "teacher_outputs": BROKEN[:, :3]}
    with pytest.raises(ValueError, match=r"the data carry of a teacher.*batch 2 of.*from 0$"):
        fit(model, x)


def test_what_counts_for_nothing_may_be_no_number():
    model = distiller(net(), net(8, seed=1), alpha=0.5)
    weights = np.ones(12)
    weights[9] = 0.0
    data = [(own_inputs(BROKEN), Y, weights)]

    class One(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, number):
            return data[0]

    assert np.isfinite(model.fit(One(), verbose=0).history["kd_loss"]).all()


@pytest.mark.alike
def test_a_student_that_becomes_none_is_its_users_affair():
    model = distiller(
        net(), net(8, seed=1), alpha=0.5, compiled={"optimizer": keras.optimizers.SGD(1e38)}
    )
    history = fit(model, X, epochs=3).history
    assert not np.isfinite(history["loss"][-1])


@alike_but_first("kd_loss", [DKDLoss(), NKDLoss(ignore_class=7)])
@first_of("wrong", [3, -1])
def test_labels_that_are_no_classes(kd_loss, wrong):
    labels = Y.copy()
    labels[9] = wrong
    model = distiller(net(), net(8, seed=1), alpha=0.0, kd_loss=kd_loss)
    before = inferred(model.student, X)
    with pytest.raises(
        ValueError, match=rf"classes from 0 to 2.*labels with \[{wrong}\], first in example 9"
    ):
        model.fit(X, labels, verbose=0)
    np.testing.assert_array_equal(inferred(model.student, X), before)
    if keras.backend.backend() == "jax":  # eager steps say it on their own
        with pytest.raises(ValueError, match=r"labels that are no classes.*batch 2 of epoch 0"):
            fit(model, X, labels)


@of_compiled_steps
def test_labels_in_a_compiled_step():
    labels = Y.copy()
    labels[9] = 5
    # Keras' own loss would raise on TensorFlow's CPU.
    model = Distiller(net(), net(8, seed=1), alpha=0.0, kd_loss=DKDLoss())
    model.compile("sgd", **COMPILED)
    with pytest.raises(ValueError, match=r"DKDLoss was given labels.*batch 2 of epoch 0"):
        fit(model, X, labels)
    assert is_finite(model.student)  # the other labels of the batch have taught it


@pytest.mark.alike
def test_an_ignored_class_is_none_of_them():
    labels = Y.copy()
    labels[9] = 7
    model = Distiller(net(), net(8, seed=1), alpha=0.0, kd_loss=NKDLoss(ignore_class=7))
    model.compile("sgd", **EAGER)
    assert np.isfinite(model.fit(X, labels, verbose=0).history["kd_loss"]).all()


@first_of("wrong", [12, -1])
def test_numbers_beyond_a_memory(wrong):
    loss = CRDLoss(12, negatives=4, dim=2, layers={"hidden": "hidden"})
    model = distiller(net(), net(8, seed=1), feature_losses=[loss], compiled=COMPILED)
    index = np.arange(12)
    index[9] = wrong
    x = {"inputs": X, "index": index}
    with pytest.raises(ValueError, match=rf"0 to 11 .*Received: index with \[{wrong}\]"):
        model.fit(x, Y, verbose=0)
    eager = keras.backend.backend() == "torch"
    message = "must hold the numbers" if eager else r"CRDLoss was given.*batch 2 of epoch 0"
    with pytest.raises(ValueError, match=message):
        fit(model, x)
    assert is_finite(model.student)


@of_compiled_steps
def test_labels_that_count_for_nothing_may_be_anything():
    labels = Y.copy()
    labels[9] = -1
    weights = np.where(labels < 0, 0.0, 1.0)
    model = Distiller(net(), net(8, seed=1), alpha=0.0, kd_loss=DKDLoss())
    model.compile("sgd", **COMPILED)
    history = model.fit(X, labels, sample_weight=weights, verbose=0).history
    assert np.isfinite(history["kd_loss"]).all()
