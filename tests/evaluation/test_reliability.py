import keras
import numpy as np
import pytest
from exported_files import BIAS, KERNEL, write_onnx
from models_for_tests import linear, softmax

from keras_kd import compare, plot_reliability
from keras_kd.evaluation.expected_calibration_error import ExpectedCalibrationError
from keras_kd.evaluation.reliability import reliability

pytestmark = [pytest.mark.core, pytest.mark.alike]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4)).astype("float32")
Y = RNG.integers(0, 3, 300)
WEIGHTS = RNG.random(300).astype("float32")


def expected_bins(kernel, bias=BIAS, bins=15, weights=None):
    """Weight, confidence and accuracy of each bin that is not empty, example by example."""
    p = softmax(X.astype("float64") @ kernel + bias)
    found = {}
    for i, row in enumerate(p):
        m = next(m for m in range(bins) if row.max() <= (m + 1) / bins)
        weight = 1.0 if weights is None else float(weights[i])
        sums = found.setdefault(m, [0.0, 0.0, 0.0])
        for place, value in enumerate((1.0, row.max(), float(row.argmax() == Y[i]))):
            sums[place] += weight * value
    return {m: (w, sure / w, right / w) for m, (w, sure, right) in found.items()}


def bars(panel):
    return {round(bar.get_x() + bar.get_width() / 2, 6): bar.get_height() for bar in panel.patches}


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("bins", [15, 4])
def test_bins_are_counted_example_by_example_and_give_the_library_s_error(bins, weights):
    p = softmax(X @ KERNEL + BIAS).astype("float32")
    found = reliability(Y, p, weights, bins)
    for m, (weight, confidence, accuracy) in expected_bins(KERNEL, BIAS, bins, weights).items():
        assert found.weight[m] == pytest.approx(weight, rel=1e-5)
        assert found.confidence[m] == pytest.approx(confidence, rel=1e-5)
        assert found.accuracy[m] == pytest.approx(accuracy, rel=1e-5)
    assert np.isnan(found.accuracy[found.weight == 0]).all()
    metric = ExpectedCalibrationError(bins=bins)
    metric.update_state(Y, p, weights)
    assert found.ece == pytest.approx(float(metric.result()), abs=1e-6)


def test_confidence_on_an_edge_is_in_the_bin_below():
    found = reliability(np.array([0, 1]), np.array([[0.5, 0.5], [1.0, 0.0]], "float32"), bins=4)
    assert found.weight.tolist() == [0, 1, 0, 1]
    assert found.accuracy[[1, 3]].tolist() == [1.0, 0.0]
    assert found.ece == pytest.approx((0.5 + 1.0) / 2)


def test_the_diagram_shows_the_bins_and_the_error_of_the_table(tmp_path):
    pytest.importorskip("matplotlib")
    models = {"logits": linear(KERNEL, BIAS), "sure": linear(3 * KERNEL, BIAS)}
    figure = plot_reliability(models, (X, Y, WEIGHTS), tmp_path / "r.png")
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    rows = compare(models, (X, Y, WEIGHTS)).rows
    titles = [panel.get_title(loc="left") for panel in figure.axes]
    assert titles == [*(f"{row['model']}\nECE {100 * row['ece']:.2f} %" for row in rows), "", ""]
    expected = expected_bins(KERNEL, BIAS, weights=WEIGHTS)
    drawn = bars(figure.axes[0])
    assert drawn == pytest.approx(
        {round((m + 0.5) / 15, 6): accuracy for m, (_, _, accuracy) in expected.items()}, rel=1e-5
    )
    total = sum(weight for weight, _, _ in expected.values())
    shares = bars(figure.axes[2])
    assert sum(shares.values()) == pytest.approx(100.0)
    for m, (weight, _, _) in expected.items():
        assert shares[round((m + 0.5) / 15, 6)] == pytest.approx(100 * weight / total, rel=1e-4)


def test_seeds_of_one_kind_share_their_bins_and_exports_are_models(tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("onnxruntime")
    kernels = [KERNEL, -2 * KERNEL]
    seeds = [linear(kernels[0], BIAS), write_onnx(tmp_path / "m.onnx", kernels[1], BIAS)]
    figure = plot_reliability({"kind": seeds}, (X, Y), bins=5)
    first, second = (expected_bins(kernel, bins=5) for kernel in kernels)
    for centre, height in bars(figure.axes[0]).items():
        m = round(centre * 5 - 0.5)
        parts = [found[m] for found in (first, second) if m in found]
        right = sum(weight * accuracy for weight, _, accuracy in parts)
        assert height == pytest.approx(right / sum(part[0] for part in parts), rel=1e-5)
    errors = [
        100 * sum(w / 300 * abs(right - sure) for w, sure, right in found.values())
        for found in (first, second)
    ]
    title = f"kind\nECE {np.mean(errors):.2f} ± {np.std(errors, ddof=1):.2f} %"
    assert figure.axes[0].get_title(loc="left") == title


def test_panels_that_are_left_over_are_not_there():
    pytest.importorskip("matplotlib")
    model = linear(KERNEL)
    figure = plot_reliability({f"m{index}": model for index in range(5)}, (X, Y))
    assert len(figure.axes) == 10


@pytest.mark.parametrize(
    ("models", "data", "kwargs", "error", "message"),
    [
        ({"m": linear(KERNEL)}, (X, X[:, :3]), {}, ValueError, "of task 'regression'"),
        ({}, (X, Y), {}, ValueError, "at least one model by name"),
        ({"m": linear(KERNEL)}, (X, Y), {"bins": 0}, ValueError, "Received: bins=0"),
        ({"m": linear(KERNEL)}, (X, Y), {"bins": 2.5}, TypeError, "Received: bins=2.5"),
        ({"m": linear(KERNEL)}, (X, Y), {"path": "r.doc"}, ValueError, "suffix of `path`"),
        ({"m": keras.Sequential()}, (X, Y), {}, ValueError, "no weights yet"),
    ],
)
def test_what_has_no_diagram_is_refused(models, data, kwargs, error, message):
    pytest.importorskip("matplotlib")
    with pytest.raises(error, match=message):
        plot_reliability(models, data, **kwargs)
