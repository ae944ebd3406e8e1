import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "hinton_mnist.py"


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("KERAS_KD_DATA_DIR"),
    reason="KERAS_KD_DATA_DIR does not say where the TFDS data sets are",
)
def test_the_small_setting_prints_the_table_and_trains_once(tmp_path):
    def run():
        command = [
            sys.executable,
            str(SCRIPT),
            "--small",
            "--dtype",
            "float32",
            "--cache",
            tmp_path,
        ]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    page = run()
    errors = {
        name.strip(): float(mean)
        for name, mean in re.findall(r"^\| ([^|]+) \| [^|]+ \| ([\d.]+) \|", page, re.MULTILINE)
    }
    assert len(errors) == 7  # the two rows on threes share their name
    assert errors["Teacher: 2 x 1200, dropout, jitter"] < 200  # of 2,000
    assert errors["Distilled at T 20 without any 3"] > errors["Student distilled, T 20, alpha 0.1"]
    assert "| T 20 |" in page
    assert run() == page  # from the cache, to the letter
