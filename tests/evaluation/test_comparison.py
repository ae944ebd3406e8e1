import pytest

from keras_kd.evaluation import Comparison

pytestmark = pytest.mark.core


def row(name, **figures):
    return {"model": name, "accuracy": 0.9, "nll": 0.25, "size_bytes": 40_960, **figures}


def comparison(*rows):
    return Comparison(list(rows), task="classification", reference="big", examples=1797)


def test_markdown_is_one_line_a_model_below_the_heads():
    found = comparison(
        row("small", flops=None, latency_ms_batch1=0.5, latency_p95_ms_batch1=0.75),
        row("big", flops=1200, latency_ms_batch1=2.0, latency_p95_ms_batch1=3.0),
    )
    assert found.to_markdown().splitlines() == [
        "| Model | Accuracy (%) | NLL | FLOPs | Size | Latency, batch 1 (ms) |",
        "|:--|--:|--:|--:|--:|--:|",
        "| small | 90.00 | 0.2500 | \N{EN DASH} | 40.0 KiB | 0.50 (p95 0.75) |",
        "| big | 90.00 | 0.2500 | 1,200 | 40.0 KiB | 2.00 (p95 3.00) |",
    ]
    assert str(found) == found.to_markdown()


def test_names_cannot_break_the_markdown_table():
    line = comparison(row("a|b\nc\\d")).to_markdown().splitlines()[2]
    assert line.startswith("| a\\|b c\\\\d | 90.00 |")


def test_repr_says_what_was_compared():
    assert repr(comparison(row("small"), row("big"))) == (
        "Comparison(task='classification', models=['small', 'big'], reference='big')"
    )


def test_page_is_one_file_with_table_picture_and_escaped_names(tmp_path):
    pytest.importorskip("matplotlib")
    found = comparison(row("<script>alert(1)</script>"), row("$x_1$ & co", accuracy=0.95))
    path = found.to_html(tmp_path / "report.html")
    page = path.read_text(encoding="utf-8")
    assert path == tmp_path / "report.html"
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "$x_1$ &amp; co" in page
    assert "classification, 1,797 examples, reference: big." in page
    assert 'src="data:image/png;base64,iVBOR' in page
    assert "http" not in page
    assert '<td class="best">95.00</td>' in page


def test_notebooks_show_the_table():
    assert comparison(row("small"))._repr_html_().startswith("<table>")


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_plot_writes_the_format_of_the_suffix(tmp_path, suffix):
    pytest.importorskip("matplotlib")
    path = comparison(row("small"), row("big")).plot(tmp_path / f"plot.{suffix}")
    start = {"png": b"\x89PNG", "svg": b"<?xml"}[suffix]
    assert path.read_bytes().startswith(start)
