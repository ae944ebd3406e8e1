import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from keras_kd.evaluation.auc import macro_auc

pytestmark = [pytest.mark.core, pytest.mark.alike]


def crowded(examples, classes, seed):
    """Probabilities that crowd near 0 and 1, as those of large networks do."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, examples)
    logits = 20.0 * rng.normal(size=(examples, classes))
    logits[np.arange(examples), labels] += 15.0
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.eye(classes)[labels] > 0, p / p.sum(axis=1, keepdims=True), rng.random(examples)


def expected(targets, scores, weights=None):
    return np.mean(
        [
            roc_auc_score(t, s, sample_weight=weights)
            for t, s in zip(targets.T, scores.T, strict=True)
        ]
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_equals_scikit_learn_below_1000_examples(seed):
    targets, scores, weights = crowded(400, 4, seed)
    assert macro_auc(targets, scores) == pytest.approx(expected(targets, scores), abs=1e-5)
    weighted = macro_auc(targets, scores, weights.astype("float32"))
    assert weighted == pytest.approx(expected(targets, scores, weights), abs=1e-5)


def test_is_close_to_scikit_learn_with_many_examples():
    targets, scores, _ = crowded(20_000, 2, 2)
    assert macro_auc(targets, scores) == pytest.approx(expected(targets, scores), abs=1e-3)


def test_ties_count_half():
    targets = np.array([[True], [False], [True], [False]])
    assert macro_auc(targets, np.zeros((4, 1))) == pytest.approx(0.5)


def test_classes_that_do_not_occur_are_left_out():
    targets, scores, _ = crowded(300, 3, 3)
    absent = np.concatenate([targets, np.zeros((300, 1), bool)], axis=1)
    more = np.concatenate([scores, np.random.default_rng(0).random((300, 1))], axis=1)
    assert macro_auc(absent, more) == pytest.approx(macro_auc(targets, scores), abs=1e-6)
    assert macro_auc(np.ones((3, 1), bool), np.ones((3, 1))) is None
