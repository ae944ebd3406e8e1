"""The simulation of many workers, and the benchmark on its small setting."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from scale_simulation import Fleet, efficiency, seconds  # noqa: E402


def test_workers_without_fault_take_what_division_says():
    fleet = Fleet(workers=10, rate=500.0, start=20.0)
    assert seconds(fleet, 10**6, 10) == pytest.approx(10**6 / 5000 + 20)
    assert seconds(fleet, 10**6, 40) == pytest.approx(10**6 / 5000 + 4 * 20)
    assert efficiency(fleet, 10**6, 10) == pytest.approx(200 / 220)


def test_more_parts_even_out_slow_workers():
    fleet = Fleet(workers=100, rate=500.0, start=5.0, slow=0.05)
    assert seconds(fleet, 10**8, 100) == pytest.approx(4 * 10**8 / 50_000 + 5)
    assert efficiency(fleet, 10**8, 1600) > 0.75


def test_a_death_costs_a_start_and_half_a_file():
    fleet = Fleet(workers=1, rate=100.0, start=10.0, failures=1.0)
    took = [seconds(fleet, 36 * 10**6, 1, seed=seed) for seed in range(20)]
    mean = sum(took) / len(took)
    assert mean == pytest.approx(360_000 + 10 + 100 * (10 + 10.24), rel=1e-3)


@pytest.mark.slow
def test_the_small_setting_prints_the_page():
    command = [sys.executable, str(BENCHMARKS / "scale.py"), "--small"]
    page = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = re.findall(r"^\| ([\d,]+) ", page, re.MULTILINE)
    assert rows == ["1", "2", *3 * ["10"], *3 * ["100"]]
    assert "Simulated: 10,000,000 examples" in page


def page_of(script):
    command = [sys.executable, str(BENCHMARKS / script), "--small"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def rows_of(page):
    """The cells of all rows by the row's name; tables have other names than each other."""
    lines = [line[1:-1].split("|") for line in page.splitlines() if line.startswith("| ")]
    return {name.strip(): [cell.strip() for cell in cells] for name, *cells in lines}


@pytest.mark.slow
def test_a_small_sweep_ends_alike_whichever_way():
    rows = rows_of(page_of("scale_students.py"))
    assert rows.pop("way")[-1] == "off"
    assert len(rows) == 3
    for cells in rows.values():
        assert min(float(cell) for cell in cells[:-1]) > 0.0
        assert float(cells[-1]) < 2.0


@pytest.mark.slow
def test_the_small_setting_spreads_steps_and_halves_a_teacher():
    page = page_of("scale_devices.py")
    rows = rows_of(page.split("### A teacher in parts")[0])
    backends = [name.split(",")[0] for name in rows if name != "way"]
    assert backends == 2 * ["JAX"] + 2 * ["TensorFlow"]
    assert float(rows["JAX, one device"][1]) == float(rows["TensorFlow, one device"][1]) == 1.0
    whole, _, half = [
        [float(cell) for cell in cells]
        for name, cells in rows_of(page.split("### A teacher in parts")[1]).items()
        if name != "way"
    ]
    assert half[0] < 0.55 * whole[0]
    assert half[3] < whole[3]
