import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "task_speech.py"
ROWS = {
    "teacher",
    "student alone",
    "KD",
    "KD and FitNet",
}


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("KERAS_KD_DATA_DIR"),
    reason="KERAS_KD_DATA_DIR does not say where the TFDS data sets are",
)
def test_the_small_setting_prints_its_table_and_trains_once(tmp_path):
    def run():
        command = [sys.executable, str(SCRIPT), "--small", "--cache", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout, done.stderr.count("'seconds': ")

    page, trained = run()
    table = dict(re.findall(r"^\| (\w[^|]*?) +\| (.*) \|$", page, re.MULTILINE))
    assert set(table) - {"row", "file"} == ROWS
    for name in ROWS:
        figures = [float(cell) for cell in table[name].split("|")]
        assert len(figures) == 2 and all(0.0 <= figure <= 100.0 for figure in figures)
    sizes = re.findall(r"^\| \.tflite, (\w+) +\| +([\d.]+) \|", page, re.MULTILINE)
    assert [kind for kind, _ in sizes] == ["float32", "float16", "int8"]
    assert float(sizes[2][1]) < 0.5 * float(sizes[0][1])
    again, more = run()
    assert trained == len(ROWS) - 1
    assert (more, again.split("What one")[0]) == (0, page.split("What one")[0])
