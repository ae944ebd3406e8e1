import builtins

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
