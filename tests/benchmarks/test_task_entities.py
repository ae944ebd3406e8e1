import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "task_entities.py"


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("KERAS_KD_DATA_DIR"),
    reason="KERAS_KD_DATA_DIR does not say where the TFDS data sets are",
)
def test_the_small_setting_prints_its_section_and_trains_once(tmp_path):
    pytest.importorskip("keras_hub")
    pytest.importorskip("seqeval")

    def run():
        command = [sys.executable, str(SCRIPT), "--small", "--cache", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout, len(re.findall(r"'recall': ", done.stderr))

    page, trained = run()
    assert page.startswith("## Entities")
    rows = dict(re.findall(r"^\| (\w[^|]*?) +\| +(\d.*?) +\|$", page, re.MULTILINE))
    ways = [f"{name}, {how}" for name in ("CNN", "BiLSTM") for how in ("alone", "KD", "logits MSE")]
    assert set(rows) == {"teacher", *ways}
    for cells in rows.values():
        values = [float(cell) for cell in cells.split("|")]
        assert len(values) == 4
        assert all(0.0 <= value <= 100.0 for value in values)
    assert trained == 2 + 1 + 6  # to choose, the teacher's, the table's
    again, trained = run()
    assert trained == 0
    assert again == page
