import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "task_text.py"
STUDENTS = ("text CNN", "BiLSTM", "transformer")


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("KERAS_KD_DATA_DIR"),
    reason="KERAS_KD_DATA_DIR does not say where the TFDS data sets are",
)
def test_the_small_setting_prints_its_tables_and_trains_once(tmp_path):
    pytest.importorskip("keras_hub")

    def run():
        command = [sys.executable, str(SCRIPT), "--small", "--cache", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout, len(re.findall(r"'validation': ", done.stderr))

    page, trained = run()
    tables = [
        dict(re.findall(r"^\| (\w[^|]*?) +\| (.*) \|$", part, re.MULTILINE))
        for part in re.split(r"\n\n(?=\|)", page)[1:]
    ]
    assert len(tables) == 3
    everything, few, _ = tables
    for name in STUDENTS:
        assert {f"{name}, alone", f"{name}, KD"} <= set(everything)
    for name in STUDENTS[:2]:
        assert f"{name}, logits MSE" in everything
        assert {f"{name}, alone, few labels", f"{name}, KD, all sentences"} <= set(few)
    assert {"transformer, KD and hidden states", "transformer, KD and attention"} <= set(everything)
    for table in (everything, few):
        for cells in list(table.values())[1:]:
            assert all(0.0 <= float(cell) <= 100.0 for cell in cells.split("|"))
    exported = re.findall(
        r"^\| (text CNN|BiLSTM) +\| +(\w+).*\| +(strings|ids) ", page, re.MULTILINE
    )
    for name in ("text CNN", "BiLSTM"):
        assert {(name, "saved_model", "strings"), (name, "tflite", "ids")} <= set(exported)
    again, more = run()
    assert (more, again.split("Exports")[0]) == (0, page.split("Exports")[0])
    assert trained == len(everything) - 1 + len(few) - 1  # less the headings, with the teachers
