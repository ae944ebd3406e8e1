import numpy as np
import pytest
from sklearn import metrics

from keras_kd.evaluation.regression import regression_scores

pytestmark = [pytest.mark.core, pytest.mark.alike]


def example(shape, offset, seed=0):
    rng = np.random.default_rng(seed)
    targets = rng.normal(size=shape) + offset
    outputs = (targets + 0.3 * rng.normal(size=shape)).astype("float32")
    teacher = (targets + 0.1 * rng.normal(size=shape)).astype("float32")
    return targets, outputs, teacher, rng.random(shape[0]).astype("float32")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("shape", "offset"), [((150,), 0.0), ((150, 3), 5.0), ((150, 1), 2000.0)])
def test_scores_equal_scikit_learn(shape, offset, weighted):
    targets, outputs, teacher, weights = example(shape, offset)
    w = weights if weighted else None
    truth = {
        "mae": metrics.mean_absolute_error(targets, outputs, sample_weight=w),
        "rmse": np.sqrt(metrics.mean_squared_error(targets, outputs, sample_weight=w)),
        "r2": metrics.r2_score(targets, outputs, sample_weight=w),
        "distance": metrics.mean_absolute_error(teacher, outputs, sample_weight=w),
    }
    assert regression_scores(targets, outputs, w, teacher) == pytest.approx(truth, rel=2e-5)


def test_targets_far_from_zero_do_not_cancel_in_float32():
    targets, outputs, _, _ = example((100,), 1e5)
    truth = metrics.r2_score(targets, outputs)
    assert regression_scores(targets, outputs)["r2"] == pytest.approx(truth, abs=1e-4)


def test_targets_may_have_any_shape():
    targets, outputs, _, _ = example((40, 3, 2), 0.0)
    mae = np.abs(targets - outputs).mean()
    assert regression_scores(targets, outputs)["mae"] == pytest.approx(mae, rel=1e-5)


def test_figures_that_do_not_apply_are_none():
    scores = regression_scores(np.full((4, 1), 2.0), np.ones((4, 1), "float32"))
    assert scores["mae"] == pytest.approx(1.0)
    assert scores["r2"] is None
    assert scores["distance"] is None
