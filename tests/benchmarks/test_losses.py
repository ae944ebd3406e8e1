import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "losses.py"


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("KERAS_KD_DATA_DIR"),
    reason="KERAS_KD_DATA_DIR does not say where the TFDS data sets are",
)
def test_the_small_setting_prints_both_tables_and_trains_once(tmp_path):
    def run(*only):
        command = [sys.executable, str(SCRIPT), "--small", "--cache", str(tmp_path)]
        done = subprocess.run(
            [*command, "--only", *only], capture_output=True, text=True, check=True
        )
        trained = len(re.findall(r"'validation': ", done.stderr))
        return done.stdout, trained

    page, trained = run("at_loss", "attention_loss")
    assert trained >= 2 * (3 + 2)  # baselines and one loss beside labels, and beside KD too
    first, second = page.split("\n## ")[1:]
    for table, loss in ((first, "at_loss"), (second, "attention_loss")):
        rows = dict(re.findall(r"^\| (\w[^|]*?) \| (.*) \|$", table, re.MULTILINE))
        assert set(rows) == {"loss", "student alone", "label smoothing 0.1", "kd_loss", loss}
        cells = [cell.strip() for cell in rows[loss].split("|")]
        accuracies = [float(cell) for cell in cells[1:5]]
        assert all(0.0 <= accuracy <= 100.0 for accuracy in accuracies)
        assert float(cells[5]) > 0.0  # the step's time

    def without_times(page):
        return re.sub(r"\d+\.\d\d \|$", "", page, flags=re.MULTILINE)

    again, trained = run("at_loss", "attention_loss")
    assert trained == 0
    assert without_times(again) == without_times(page)
