import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "task_multilabel.py"
ROWS = {
    "teacher",
    "student alone",
    "KD, T 1",
    "KD, T 4",
    "KD, no labels",
    "student alone, 64 pictures",
    "KD, 64 pictures",
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
        assert len(figures) == 3 and all(0.0 <= figure <= 100.0 for figure in figures)
    again, more = run()
    assert trained == len(ROWS) - 1
    assert (more, again) == (0, page)
