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
