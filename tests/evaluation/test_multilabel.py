import numpy as np
import pytest
from scipy.special import expit
from sklearn import metrics

from keras_kd.evaluation.multilabel import label_logits, multilabel_scores

pytestmark = [pytest.mark.core, pytest.mark.alike]


def example(seed, shape=(200, 4)):
    rng = np.random.default_rng(seed)
    targets = (rng.random(shape) < 0.4).astype("int32")
    logits = (2.0 * rng.normal(size=shape) + targets).astype("float32")
    teacher = (logits + rng.normal(size=shape)).astype("float32")
    return targets, logits, teacher, rng.random(shape[0]).astype("float32")


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_equal_scikit_learn_and_float64_formulas(weighted):
    targets, logits, teacher, weights = example(0)
    w = weights if weighted else None
    scores = multilabel_scores(targets, logits, w, teacher)
    said, p, r = logits > 0, expit(logits.astype("float64")), expit(teacher.astype("float64"))
    macro = {"average": "macro", "sample_weight": w}
    nll = -(targets * np.log(p) + (1 - targets) * np.log(1 - p))
    kl = r * np.log(r / p) + (1 - r) * np.log((1 - r) / (1 - p))
    truth = {
        "accuracy": np.average((said == targets).mean(axis=1), weights=w),
        "exact_match": metrics.accuracy_score(targets, said, sample_weight=w),
        "precision": metrics.precision_score(targets, said, **macro),
        "recall": metrics.recall_score(targets, said, **macro),
        "f1": metrics.f1_score(targets, said, **macro),
        "auc": metrics.roc_auc_score(targets, p, **macro),
        "nll": np.average(nll.mean(axis=1), weights=w),
        "agreement": np.average((said == (teacher > 0)).mean(axis=1), weights=w),
        "kl": np.average(kl.mean(axis=1), weights=w),
    }
    assert scores == pytest.approx(truth, rel=2e-5)


def test_logits_and_probabilities_of_one_model_score_the_same():
    targets, logits, teacher, _ = example(1)
    p = expit(logits)
    from_logits, from_probabilities = (
        multilabel_scores(targets, label_logits(outputs, "m"), None, teacher)
        for outputs in (logits, p)
    )
    assert from_probabilities == pytest.approx(from_logits, rel=1e-4)


def test_probabilities_of_0_and_1_and_logits_a_thousand_apart_give_finite_figures():
    targets = np.array([[1, 0], [0, 0]])
    edge = label_logits(np.array([[0.0, 1.0], [1.0, 0.5]], "float32"), "m")
    far = np.array([[1000.0, -1000.0], [-1000.0, 1000.0]], "float32")
    for logits, reference in ((edge, far), (far, edge), (far, -far)):
        scores = multilabel_scores(targets, logits, None, reference)
        assert np.isfinite([scores["nll"], scores["kl"]]).all()
    assert multilabel_scores(targets, far, None, -far)["kl"] == pytest.approx(1000.0)


def test_without_a_reference_its_figures_are_none():
    targets, logits, _, _ = example(2)
    scores = multilabel_scores(targets, logits)
    assert scores["agreement"] is None
    assert scores["kl"] is None
