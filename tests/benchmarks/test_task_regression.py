import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "task_regression.py"
ROWS = {
    "teacher (random forest)",
    "ridge regression",
    "student alone",
    "student alone, noise",
    "RegressionLoss",
    "RegressionLoss, out of bag",
    "RegressionLoss, noise",
    "BoundedRegressionLoss",
}


@pytest.mark.slow
def test_the_small_setting_prints_its_table_and_trains_once(tmp_path):
    def run():
        command = [sys.executable, str(SCRIPT), "--small", "--cache", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout, done.stderr.count("'seconds': ")

    page, trained = run()
    table = dict(re.findall(r"^\| (\w[^|]*?) +\| (.*) \|$", page, re.MULTILINE))
    assert set(table) - {"row"} == ROWS
    for name in ROWS:
        figures = [float(cell) for cell in table[name].split("|")]
        assert len(figures) == 3 and figures[0] < 1.0 and 0.0 < figures[1] < figures[2]
    again, more = run()
    assert trained == len(ROWS)
    assert (more, again) == (0, page)
