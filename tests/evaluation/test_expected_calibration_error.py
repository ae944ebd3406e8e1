import keras
import numpy as np
import pytest

from keras_kd.evaluation.expected_calibration_error import ExpectedCalibrationError

pytestmark = [pytest.mark.core, pytest.mark.alike]


def expected(labels, p, weights, bins):
    """Guo et al. 2017, equation 3, bin by bin in float64."""
    confidence, right = p.max(axis=1), p.argmax(axis=1) == labels
    total = 0.0
    for m in range(1, bins + 1):
        inside = (confidence > (m - 1) / bins) & (confidence <= m / bins)
        w = weights[inside]
        if w.sum() > 0:
            accuracy = (w * right[inside]).sum() / w.sum()
            mean_confidence = (w * confidence[inside]).sum() / w.sum()
            total += w.sum() / weights.sum() * abs(accuracy - mean_confidence)
    return total


@pytest.mark.parametrize(("classes", "bins", "seed"), [(2, 15, 0), (10, 15, 1), (3, 4, 2)])
def test_equals_the_published_formula(classes, bins, seed):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(classes, 0.4), size=200)
    labels, weights = rng.integers(0, classes, 200), rng.random(200)
    metric = ExpectedCalibrationError(bins=bins)
    for part in (slice(0, 120), slice(120, 200)):
        metric.update_state(labels[part], p[part], weights[part])
    assert float(metric.result()) == pytest.approx(expected(labels, p, weights, bins), abs=1e-5)
    metric.reset_state()
    metric.update_state(labels[:, None], p)
    even = expected(labels, p, np.ones(200), bins)
    assert float(metric.result()) == pytest.approx(even, abs=1e-5)


def test_is_zero_for_a_model_that_is_sure_and_right_and_one_if_sure_and_wrong():
    for label, error in ((0, 0.0), (1, 1.0)):
        metric = ExpectedCalibrationError()
        metric.update_state([label], [[1.0, 0.0]])
        assert float(metric.result()) == error


def test_works_as_a_metric_of_a_compiled_model_and_is_saved_with_it(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Softmax()])
    model.compile(loss="sparse_categorical_crossentropy", metrics=[ExpectedCalibrationError(10)])
    x, y = np.log([[0.9, 0.1], [0.7, 0.3]]).astype("float32"), np.array([0, 1])
    model.evaluate(x, y, verbose=0)
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    assert logs["expected_calibration_error"] == pytest.approx(0.4, abs=1e-6)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    logs = again.evaluate(x, y, verbose=0, return_dict=True)
    assert logs["expected_calibration_error"] == pytest.approx(0.4, abs=1e-6)


@pytest.mark.parametrize("bins", [0, -1, 2.5])
def test_number_of_bins_that_makes_no_sense_is_refused(bins):
    with pytest.raises(ValueError, match="Received: bins="):
        ExpectedCalibrationError(bins=bins)
