import numpy as np
import pytest

from keras_kd.export.decision import find_decision

pytestmark = pytest.mark.core
LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]])


@pytest.mark.parametrize(
    "labels",
    [np.array([0, 2]), np.array([[0.0], [2.0]]), np.array([[1, 0, 0], [0, 0.2, 0.8]])],
    ids=["sparse", "column", "one-hot"],
)
def test_class_labels_make_argmax_and_accuracy(labels):
    decision = find_decision(LOGITS, labels)
    np.testing.assert_array_equal(decision.decide(LOGITS), [0, 1])
    assert decision.metric == "accuracy"
    np.testing.assert_array_equal(decision.score(LOGITS, labels), [True, False])


def test_labels_of_every_pixel_make_classes_at_every_pixel():
    values = np.zeros((2, 4, 4, 3))
    labels = np.zeros((2, 4, 4), "int32")
    assert find_decision(values, labels).score(values, labels).all()


@pytest.mark.parametrize(("values", "decisions"), [([0.2, 0.8], [0, 1]), ([-3.0, 0.2], [0, 1])])
def test_binary_labels_take_the_threshold_of_probabilities_or_of_logits(values, decisions):
    values = np.array(values)[:, None]
    decision = find_decision(values, np.array([1, 1]))
    np.testing.assert_array_equal(decision.decide(values)[:, 0], decisions)
    np.testing.assert_array_equal(decision.score(values, np.array([1, 1])), [False, True])


def test_multi_label_counts_every_label():
    labels = np.array([[1, 1, 0], [0, 1, 1]])
    decision = find_decision(LOGITS, labels)
    np.testing.assert_array_equal(decision.score(LOGITS, labels), [1, 0, 0, 1, 1, 1])


def test_other_labels_make_a_regression():
    labels = np.array([1.5, -2.0])
    decision = find_decision(np.array([[1.0], [2.0]]), labels)
    assert (decision.decide, decision.metric) == (None, "mean_absolute_error")
    np.testing.assert_allclose(decision.score(np.array([[1.0], [2.0]]), labels), [0.5, 4.0])


@pytest.mark.parametrize("labels", [None, np.array(["a", "b"]), np.zeros((2, 7))])
def test_without_fitting_labels_rows_are_classes_and_have_no_metric(labels):
    decision = find_decision(LOGITS, labels)
    np.testing.assert_array_equal(decision.decide(LOGITS), [0, 1])
    assert decision.metric is None


def test_without_labels_pixels_are_classes_only_if_they_hold_probabilities():
    assert find_decision(np.full((2, 4, 4, 2), 0.5), None).decide is not None
    assert find_decision(np.full((2, 4, 4, 2), 0.7), None).decide is None


def test_integers_are_equal_or_not():
    values = np.array([3, 4])
    decision = find_decision(values, np.array([[3], [5]]))
    assert decision.metric == "accuracy"
    np.testing.assert_array_equal(decision.score(values, np.array([[3], [5]])), [True, False])
