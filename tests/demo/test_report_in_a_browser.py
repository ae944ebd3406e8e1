"""The pages as a browser shows them, on a telephone and on a desk."""

import pytest
from browser import WIDTHS, needs_browser, shown

from keras_kd.evaluation import Comparison
from keras_kd.evaluation.run_report import Picture, Section, write_report

pytestmark = [pytest.mark.pages, needs_browser]


def rows(count):
    figures = ("accuracy", "precision", "recall", "f1", "auc", "nll", "ece", "parameters", "flops")
    name = "student of quite some name, 100 labels + teacher"
    return [
        {"model": f"{name}, {number}", **dict.fromkeys(figures, 0.5 + number / 100)}
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of all that a report can hold: wide tables and pictures, small ones, long words."""
    folder = tmp_path_factory.mktemp("report")
    compared = Comparison(rows(4), task="classification")
    compared.plot(folder / "comparison.png")
    chart = folder / "comparison.png"
    table = [line.strip("|").split("|") for line in compared.to_markdown().splitlines()]
    small = [Picture(chart, f"Image {n}", f"true: {'W' * 40}\ndistilled: cat") for n in range(12)]
    sections = [
        Section("Result", "A sentence of some length. " * 12, table),
        Section("Chart", pictures=[Picture(chart, "Dots")]),
        Section("Images", pictures=small),
        Section("What made it", "python -m keras_kd --out /" + "a_long_path/" * 30),
    ]
    return write_report(folder, "Distillation on " + "x" * 60, sections)[1]


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    return Comparison(rows(4), task="classification").to_html(folder / "comparison.html")


@pytest.mark.parametrize("page", ["report", "comparison"])
def test_nothing_overflows_the_page_and_nothing_fails(page, request, tmp_path):
    (found,), errors = shown([request.getfixturevalue(page)], tmp_path)
    assert set(found) == set(WIDTHS)
    for width, (page_width, _) in found.items():
        assert page_width <= width
    assert found[360][1] > 0  # wide tables scroll by themselves
    assert errors == []


def test_a_page_that_overflows_or_fails_is_found(tmp_path):
    page = tmp_path / "page.html"
    page.write_text('<div style="width: 800px">wide</div><script>nowhere()</script>')
    (found,), errors = shown([page], tmp_path)
    assert found[360][0] >= 800
    assert any("nowhere" in line for line in errors)
