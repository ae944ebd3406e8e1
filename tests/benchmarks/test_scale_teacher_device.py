"""The benchmark of a teacher on a device of its own, on its small setting."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "scale_teacher_device.py"


@pytest.mark.slow
def test_the_small_setting_prints_three_ways():
    command = [sys.executable, str(SCRIPT), "--small"]
    page = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert re.search("shared.*ahead.*split", page)
    (row,) = re.findall(r"^\| 16 .*$", page, re.MULTILINE)
    assert len(re.findall(r"\d+\.\d \(\d+\.\d to \d+\.\d\)", row)) == 5
