import pytest

from keras_kd.evaluation.report import html_page, html_table
from keras_kd.evaluation.table_column import Column, number

pytestmark = [pytest.mark.core, pytest.mark.alike]

COLUMNS = [
    Column("f1", "F1", number, "higher"),
    Column("nll", "NLL", number, "lower"),
    Column("kl", "KL", number),
]


def test_best_of_each_column_is_marked_where_there_is_a_better():
    rows = [
        {"model": "a", "f1": 1.0, "nll": 3.0, "kl": 5.0},
        {"model": "b", "f1": 2.0, "nll": 4.0, "kl": None},
    ]
    table = html_table(COLUMNS, rows)
    assert table.count('class="best"') == 2
    assert '<td class="best">2.000</td>' in table
    assert '<td class="best">3.000</td>' in table


def test_a_single_model_is_not_called_the_best():
    assert "best" not in html_table(COLUMNS, [{"model": "a", "f1": 1.0}])


def test_page_holds_its_picture():
    page = html_page("caption", "<table></table>", b"picture")
    assert "data:image/png;base64,cGljdHVyZQ==" in page
    assert "caption" in page
