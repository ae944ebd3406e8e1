import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn import metrics

from keras_kd.evaluation.classification import (
    class_labels,
    classification_scores,
    log_probabilities,
)

pytestmark = [pytest.mark.core, pytest.mark.alike]


def example(classes, seed, examples=300):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, examples).astype("int32")
    logits = (3.0 * rng.normal(size=(examples, classes))).astype("float32")
    teacher = (3.0 * rng.normal(size=(examples, classes)) + logits).astype("float32")
    logits[np.arange(examples), labels] += 2.0
    return labels, logits, teacher, rng.random(examples).astype("float32")


@pytest.mark.parametrize(("classes", "seed", "weighted"), [(2, 0, False), (7, 1, True)])
def test_scores_equal_scikit_learn_and_float64_formulas(classes, seed, weighted):
    labels, logits, teacher, weights = example(classes, seed)
    w = weights if weighted else None
    scores = classification_scores(
        labels, log_probabilities(logits, "m"), w, log_probabilities(teacher, "t")
    )
    predicted = logits.argmax(axis=1)
    log_p, log_r = (log_softmax(z.astype("float64"), axis=1) for z in (logits, teacher))
    macro = {"average": "macro", "labels": range(classes), "zero_division": 0, "sample_weight": w}
    kl = (np.exp(log_r) * (log_r - log_p)).sum(axis=1)
    truth = {
        "accuracy": metrics.accuracy_score(labels, predicted, sample_weight=w),
        "precision": metrics.precision_score(labels, predicted, **macro),
        "recall": metrics.recall_score(labels, predicted, **macro),
        "f1": metrics.f1_score(labels, predicted, **macro),
        "nll": metrics.log_loss(labels, np.exp(log_p), sample_weight=w, labels=range(classes)),
        "agreement": np.average(predicted == teacher.argmax(axis=1), weights=w),
        "kl": np.average(kl, weights=w),
    }
    # float32 sums over 300 examples: a few units of 1e-6 relative.
    assert {key: scores[key] for key in truth} == pytest.approx(truth, rel=2e-5)
    if classes > 5:
        top5 = metrics.top_k_accuracy_score(labels, logits, k=5, sample_weight=w)
        assert scores["top5_accuracy"] == pytest.approx(top5, rel=1e-5)


def test_logits_and_probabilities_of_one_model_score_the_same():
    labels, logits, teacher, weights = example(7, 2)
    p = softmax(logits.astype("float64"), axis=1).astype("float32")
    reference = log_probabilities(teacher, "t")
    from_logits, from_probabilities = (
        classification_scores(labels, log_probabilities(outputs, "m"), weights, reference)
        for outputs in (logits, p)
    )
    assert from_probabilities == pytest.approx(from_logits, rel=1e-4)


def test_logits_a_thousand_apart_give_finite_figures():
    labels = np.array([0, 1], "int32")
    sure = log_probabilities(np.array([[1000.0, 0.0], [1000.0, 0.0]], "float32"), "m")
    even = log_probabilities(np.zeros((2, 2), "float32") - 1.0, "even")
    assert classification_scores(labels, sure, None, even)["nll"] == pytest.approx(500.0)
    assert classification_scores(labels, sure, None, even)["kl"] == pytest.approx(
        500.0 - np.log(2.0), rel=1e-6
    )
    assert classification_scores(labels, even, None, sure)["kl"] == pytest.approx(np.log(2.0))


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_one_output_is_that_of_class_1_of_two(shape):
    logits = np.array([-2.0, 0.5, 3.0], "float32")
    p = 1.0 / (1.0 + np.exp(-logits))
    expected = np.log(np.stack([1.0 - p, p], axis=1))
    for outputs in (logits, p):
        found = log_probabilities(outputs.reshape(shape), "m")
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_classes_never_predicted_count_as_zero_in_macro_means():
    labels = np.array([0, 1, 2], "int32")
    log_p = log_probabilities(np.array([[5.0, 0.0, 0.0]] * 3, "float32"), "m")
    scores = classification_scores(labels, log_p)
    assert scores["precision"] == pytest.approx(1 / 9)
    assert scores["recall"] == pytest.approx(1 / 3)
    assert scores["f1"] == pytest.approx(0.5 / 3)


def test_top_5_and_reference_figures_are_none_where_they_do_not_apply():
    labels, logits, _, _ = example(5, 3)
    scores = classification_scores(labels, log_probabilities(logits, "m"))
    assert [scores[key] for key in ("top5_accuracy", "agreement", "kl")] == [None] * 3


def test_labels_come_from_any_of_their_forms():
    labels = np.array([2, 0, 1])
    for targets in (labels, labels[:, None].astype("float32"), np.eye(3)[labels]):
        found = class_labels(targets)
        assert found.dtype == "int32"
        np.testing.assert_array_equal(found, labels)
