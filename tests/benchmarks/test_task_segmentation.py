import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "task_segmentation.py"


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("KERAS_KD_DATA_DIR"),
    reason="KERAS_KD_DATA_DIR does not say where the TFDS data sets are",
)
def test_the_small_setting_prints_the_table_and_trains_once(tmp_path):
    def run():
        command = [sys.executable, str(SCRIPT), "--small", "--cache", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout, len(re.findall(r", seed \d: {", done.stderr))

    page, trained = run()
    assert trained == 1 + 3
    assert page.startswith("## Segmentation")
    lines = [line[2:-2].split(" | ") for line in page.splitlines() if line.startswith("| ")]
    rows = {line[0].strip(): line[1:] for line in lines}
    names = {
        "row",
        "teacher",
        "student alone",
        "KD",
        "KD, of the ignored pixels too",
        "CWD on logits",
    }
    assert set(rows) == names
    figures = [float(cells[0]) for name, cells in rows.items() if name != "row"]
    assert all(0.0 <= figure <= 100.0 for figure in figures)
    again, trained = run()
    assert trained == 0
    assert again == page
