import keras
import numpy as np
import pytest
from models_for_tests import distiller, examples, inferred, kd, net, softmax

from keras_kd.teachers import Virtual

core = pytest.mark.core
tf = pytest.importorskip("tensorflow")

X, Y = examples(12)


@core
def test_the_label_gets_its_share_and_the_others_divide_the_rest():
    answers = Virtual(4, correct=0.7).answers([2, 0])
    assert answers.dtype == "float32"
    expected = [[0.1, 0.1, 0.7, 0.1], [0.7, 0.1, 0.1, 0.1]]
    np.testing.assert_allclose(softmax(answers), expected, rtol=1e-6)


@core
def test_a_temperature_softens_the_answers_in_closed_form():
    # p^(1/T), normalised: at T = 2 the shares 0.81 and 0.09 are as 3 to 1.
    answers = Virtual(3, correct=0.81).answers([1])
    rest = np.sqrt(0.095 / 0.81)
    expected = np.array([[rest, 1.0, rest]]) / (1.0 + 2.0 * rest)
    np.testing.assert_allclose(softmax(answers / 2.0), expected, rtol=1e-6)


@core
def test_a_distiller_without_a_teacher_learns_from_it():
    student, teacher = net(), Virtual(3)
    model = distiller(student, alpha=0.9, temperature=20.0)
    expected = kd(teacher.answers(Y), inferred(student, X), 20.0).mean()
    x, y, weights = teacher.label((X, Y, np.ones(12)))
    history = model.fit(x, y, sample_weight=weights, batch_size=12, verbose=0).history
    np.testing.assert_allclose(history["kd_loss"], expected, rtol=1e-5)


@pytest.mark.parametrize("batch", [None, 5])
def test_a_data_set_is_labelled_batched_or_not(batch):
    data = tf.data.Dataset.from_tensor_slices((X, Y))
    data = data if batch is None else data.batch(batch)
    found = list(Virtual(3).label(data).as_numpy_iterator())
    join = np.stack if batch is None else np.concatenate
    answers, inputs = (join([x[k] for x, _ in found]) for k in ("teacher_outputs", "inputs"))
    np.testing.assert_allclose(answers, Virtual(3).answers(Y), rtol=1e-6)
    np.testing.assert_array_equal(inputs, X)


def test_labels_in_a_column_are_class_numbers():
    np.testing.assert_array_equal(Virtual(3).answers(Y[:, None]), Virtual(3).answers(Y))
    data = tf.data.Dataset.from_tensor_slices((X, Y[:, None])).batch(12)
    ((x, _),) = Virtual(3).label(data).as_numpy_iterator()
    assert x["teacher_outputs"].shape == (12, 3)


@core
def test_a_label_that_is_no_class_is_refused():
    with pytest.raises(ValueError, match=r"from 0 to 2.*Received: labels with \[3\]"):
        Virtual(3).answers([0, 3])


def test_a_label_in_a_data_set_that_is_no_class_ends_training():
    data = tf.data.Dataset.from_tensor_slices((X, np.where(np.arange(12) == 7, -1, Y)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    model = distiller(net(), compiled={"loss": loss})
    with pytest.raises(ValueError, match="NaN"):
        model.fit(Virtual(3).label(data).batch(4), verbose=0)


@core
@pytest.mark.parametrize("correct", [1.0, 1 / 3, 0.0, float("nan")])
def test_a_share_that_is_none_is_refused(correct):
    with pytest.raises(ValueError, match="Received: correct="):
        Virtual(3, correct)


@core
@pytest.mark.parametrize("data", [X, (X,), (X, {"a": Y})])
def test_data_without_one_label_are_refused(data):
    with pytest.raises(ValueError, match="answers to labels"):
        Virtual(3).label(data)


@core
def test_one_hot_rows_are_refused():
    with pytest.raises(TypeError, match="argmax"):
        Virtual(3).answers(np.eye(3))


@core
def test_one_class_is_refused():
    with pytest.raises(ValueError, match="Received: num_classes=1"):
        Virtual(1)
