import builtins

import numpy as np
import pytest

from keras_kd.evaluation.plots import draw, draw_png

pytestmark = [pytest.mark.core, pytest.mark.alike]

ROWS = [
    {"model": "alone", "accuracy": 0.90, "nll": 0.4, "kl": None, "size_bytes": 40_000},
    {"model": "distilled", "accuracy": 0.91, "nll": 0.3, "kl": None, "size_bytes": 40_000},
    {"model": "costs $1", "accuracy": 0.95, "nll": 0.2, "kl": None, "size_bytes": 4_000_000},
]


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_each_figure_has_a_panel_with_a_value_for_each_model():
    pytest.importorskip("matplotlib")
    accuracy, nll, trade = draw(ROWS, "classification").axes
    assert accuracy.get_title(loc="left") == "Accuracy (%), higher is better"
    assert texts(accuracy) == ["90.00", "91.00", "95.00"]
    assert texts(nll) == ["0.4000", "0.3000", "0.2000"]
    assert trade.get_xlabel().startswith("Size on disk")
    assert trade.get_ylabel() == "Accuracy (%)"


def test_models_of_one_kind_share_a_line_with_their_mean_and_the_reference_has_its_colour():
    pytest.importorskip("matplotlib")
    rows = [ROWS[2], *({**ROWS[0], "model": f"a, {i}", "accuracy": 0.9 + i / 100} for i in (1, 3))]
    figure = draw(rows, "classification", {"a": ["a, 1", "a, 3"]}, "costs $1")
    accuracy, nll, trade = figure.axes
    assert texts(accuracy) == ["95.00", "92.00 ± 1.41"] and texts(nll)[1] == "0.4000 ± 0"
    dots = [each.get_offsets().tolist() for each in accuracy.collections[::2]]
    np.testing.assert_allclose(dots[1], [[91.0, 1.0], [93.0, 1.0]])
    colors = {tuple(each.get_facecolor()[0][:3]) for each in accuracy.collections[::2]}
    assert len(colors) == 2 and colors == {
        tuple(each.get_facecolor()[0][:3]) for each in trade.collections
    }
    assert texts(trade) == [r"costs \$1", "a"]


def test_panels_that_are_left_over_do_not_show():
    pytest.importorskip("matplotlib")
    row = dict.fromkeys(["accuracy", "f1", "auc", "nll", "ece"], 0.5)
    axes = draw([{"model": "m", **row, "size_bytes": 1000}], "classification").axes
    assert [each.get_visible() for each in axes] == [True] * 5 + [False] * 3 + [True]


def test_names_in_the_size_plot_do_not_cover_each_other():
    agg = pytest.importorskip("matplotlib.backends.backend_agg")
    figure = draw(ROWS, "classification")
    canvas = agg.FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in figure.axes[-1].texts]
    assert len(boxes) == 3
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[index + 1 :])


@pytest.mark.parametrize(
    ("task", "key"), [("regression", "rmse"), ("multilabel", "f1"), ("classification", "accuracy")]
)
def test_every_task_can_be_drawn_even_for_one_model(task, key):
    pytest.importorskip("matplotlib")
    rows = [{"model": "m", key: 0.5, "size_bytes": 1000}]
    assert draw_png(rows, task).startswith(b"\x89PNG")


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r"keras_kd\[demo\]"):
        draw(ROWS, "classification")
