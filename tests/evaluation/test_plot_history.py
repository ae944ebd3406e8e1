import keras
import numpy as np
import pytest
from models_for_tests import EAGER, cross_entropy, examples, net

from keras_kd import plot_history

pytest.importorskip("matplotlib")
pytestmark = [pytest.mark.core, pytest.mark.alike]

ALONE = {"accuracy": [0.5, 0.6], "loss": [2.0, 1.0], "val_accuracy": [0.4, 0.5]}
SEEDS = [{"loss": [3.0, 2.0, 1.0], "accuracy": [0.1] * 3}, {"loss": [1.0, 0.0], "f1": [0.1, 0.2]}]


def lines(panel):
    return [
        (line.get_linestyle(), line.get_xdata().tolist(), line.get_ydata().tolist())
        for line in panel.lines
    ]


def titles(figure):
    return [panel.get_title(loc="left") for panel in figure.axes]


def test_training_is_dashed_and_validation_solid_in_one_panel():
    figure = plot_history({"alone": ALONE})
    assert titles(figure) == ["loss", "accuracy"]
    assert lines(figure.axes[0]) == [("--", [1, 2], [2.0, 1.0])]
    assert lines(figure.axes[1]) == [("--", [1, 2], [0.5, 0.6]), ("-", [1, 2], [0.4, 0.5])]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["alone", "training", "validation"]


def test_seeds_are_thin_lines_of_one_colour_with_their_mean_as_far_as_all_go():
    figure = plot_history({"alone": ALONE, "$seeds": SEEDS})
    assert titles(figure) == ["loss"]  # what all have
    single, first, second, mean = figure.axes[0].lines
    assert first.get_ydata().tolist() == [3.0, 2.0, 1.0]
    assert second.get_ydata().tolist() == [1.0, 0.0]
    assert mean.get_ydata().tolist() == [2.0, 1.0]
    assert first.get_linewidth() < mean.get_linewidth() == single.get_linewidth()
    assert first.get_color() == second.get_color() == mean.get_color() != single.get_color()
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["alone", r"\$seeds", "training"]


def test_metrics_may_be_chosen_and_are_drawn_of_those_that_have_them():
    figure = plot_history({"alone": ALONE, "seeds": SEEDS}, metrics=["f1", "accuracy"])
    assert titles(figure) == ["f1", "accuracy"]
    assert lines(figure.axes[0]) == [("--", [1, 2], [0.1, 0.2])]
    assert [data for _, _, data in lines(figure.axes[1])] == [[0.5, 0.6], [0.4, 0.5], [0.1] * 3]


def test_what_fit_returns_is_drawn_and_written(tmp_path):
    x, y = examples()
    model = net()
    model.compile("sgd", cross_entropy(), metrics=["accuracy"], **EAGER)
    history = model.fit(x, y, epochs=2, batch_size=6, verbose=0, validation_data=(x, y))
    figure = plot_history({"student": history}, tmp_path / "curves.svg")
    assert titles(figure) == ["loss", "accuracy"]
    assert lines(figure.axes[0])[1] == ("-", [1, 2], history.history["val_loss"])
    assert (tmp_path / "curves.svg").read_bytes().startswith(b"<?xml")


def test_what_is_no_number_is_left_out():
    run = {"loss": [1.0, np.nan, 0.5, np.inf], "per_class": [[0.1, 0.2]] * 4}
    figure = plot_history({"m": run})
    assert titles(figure) == ["loss"]
    assert lines(figure.axes[0]) == [("--", [1, 3], [1.0, 0.5])]


def test_one_epoch_shows_as_a_dot_and_more_names_than_colours_have_marks():
    figure = plot_history({f"{index}": {"loss": [1.0]} for index in range(7)})
    assert figure.axes[0].lines[0].get_marker() == "o"
    looks = {(line.get_color(), line.get_marker()) for line in figure.legends[0].get_lines()[:7]}
    assert len(looks) == 7


@pytest.mark.parametrize(
    ("histories", "error", "message"),
    [
        ({}, ValueError, r"At least one history.*histories=\{\}"),
        ({"m": []}, ValueError, r"At least one history.*histories\['m'\]=\[\]"),
        ({"m": {}}, ValueError, r"at least one epoch.*histories\['m'\]=\{\}"),
        ({"m": [ALONE, {"loss": []}]}, ValueError, r"at least one epoch.*histories\['m'\]\[1\]"),
        ({"m": keras.callbacks.History()}, ValueError, "at least one epoch"),
        ([ALONE], TypeError, r"dict of histories by name.*of type list"),
        (ALONE, TypeError, r"by a name of yours. Received: histories\['accuracy'\]\[0\]=0.5"),
        ({"m": "loss"}, TypeError, r"Received: histories\['m'\]='loss' \(of type str\)"),
        ({1: ALONE}, TypeError, "name=1"),
        ({"m": {"loss": [1.0, 2.0], "val_loss": [1.0]}}, ValueError, "validation_freq.*NaN"),
        ({"a": {"loss": [1.0]}, "b": {"f1": [1.0]}}, ValueError, r"in common.*\[\['loss'\]"),
    ],
)
def test_what_is_no_history_is_refused(histories, error, message):
    with pytest.raises(error, match=message):
        plot_history(histories)


@pytest.mark.parametrize(
    ("metrics", "error", "message"),
    [
        (["val_loss"], ValueError, r"Not known: \['val_loss'\]. Available: \['accuracy', 'loss'\]"),
        ("loss", TypeError, "Received: metrics='loss'"),
        ([], TypeError, r"Received: metrics=\[\]"),
    ],
)
def test_metrics_that_there_are_not_are_refused(metrics, error, message):
    with pytest.raises(error, match=message):
        plot_history({"m": ALONE}, metrics=metrics)


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("curves.doc", ValueError, r"suffix of `path`.*curves.doc.*'png'"),
        ("gs://bucket/curves.png", ValueError, "mounted file system"),
        (3, TypeError, "Received: path=3"),
    ],
)
def test_paths_that_cannot_be_written_are_refused(path, error, message):
    with pytest.raises(error, match=message):
        plot_history({"m": ALONE}, path)


def test_a_reference_has_the_colour_that_compare_gives_it():
    from matplotlib.colors import to_hex

    runs = {"alone": {"loss": [2.0, 1.0]}, "teacher": {"loss": [1.0, 0.5]}}
    colors = [
        to_hex(line.get_color()) for line in plot_history(runs, reference="teacher").axes[0].lines
    ]
    assert [color.upper() for color in colors] == ["#0072B2", "#D55E00"]
    with pytest.raises(ValueError, match="reference='best'"):
        plot_history(runs, reference="best")
