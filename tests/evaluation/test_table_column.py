import pytest

from keras_kd.evaluation.table_column import Column, count, milliseconds, number, percent, size

pytestmark = [pytest.mark.core, pytest.mark.alike]


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (percent, 0.98765, "98.77"),
        (percent, 1.0, "100.00"),
        (number, 0.123456, "0.1235"),
        (number, 0.0, "0.000"),
        (number, 1.2e-7, "1.2e-07"),
        (number, 123456.0, "1.23e+05"),
        (number, -2.5, "-2.500"),
        (count, 758, "758"),
        (count, 9_999, "9,999"),
        (count, 25_636_712, "25.6 M"),
        (count, 999_900, "1 M"),
        (count, 4.1e9, "4.1 G"),
        (count, 2.5e15, "2,500 T"),
        (size, 27_034, "26.4 KiB"),
        (size, 3 * 1024**2, "3.0 MiB"),
        (milliseconds, 0.0118, "0.012"),
        (milliseconds, 0.543, "0.54"),
        (milliseconds, 1234.5, "1234"),
    ],
)
def test_figures_are_written_for_people(write, value, text):
    assert write(value) == text


def test_cell_holds_the_figure_its_95th_percentile_or_a_dash():
    plain = Column("accuracy", "Accuracy (%)", percent)
    latency = Column("median", "Latency (ms)", milliseconds, detail="p95")
    assert plain.text({"accuracy": 0.5}) == "50.00"
    assert plain.text({"accuracy": None}) == plain.text({}) == "\N{EN DASH}"
    assert latency.text({"median": 1.0, "p95": 2.5}) == "1.00 (p95 2.50)"
