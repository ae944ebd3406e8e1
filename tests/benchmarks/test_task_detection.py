import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "task_detection.py"


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("KERAS_KD_DATA_DIR"),
    reason="KERAS_KD_DATA_DIR does not say where the TFDS data sets are",
)
def test_the_small_setting_prints_the_table_and_trains_once(tmp_path):
    def run():
        command = [sys.executable, str(SCRIPT), "--small", "--cache", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout, len(re.findall("'validation': ", done.stderr))

    page, trained = run()
    assert trained == 1 + 4
    assert page.startswith("## Detection")
    lines = [line[2:-2].split(" | ") for line in page.splitlines() if line.startswith("| ")]
    rows = {line[0].strip(): line[1:] for line in lines}
    assert {"teacher", "student alone"} < set(rows)
    of_pyramid = [name for name in rows if "CWD on the pyramid" in name]
    undistilled = [name for name in rows if re.fullmatch("classes by focal KD, weight \\d+", name)]
    assert of_pyramid
    assert undistilled
    figures = [float(cells[0]) for name, cells in rows.items() if name not in ("row", "candidate")]
    assert len(figures) == 2 + 4
    assert all(0.0 <= figure <= 100.0 for figure in figures)
    again, trained = run()
    assert trained == 0
    assert again == page
