import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("KERAS_KD_DATA_DIR"),
        reason="KERAS_KD_DATA_DIR does not say where the TFDS data sets are",
    ),
]


def page_of(script, *arguments):
    command = [sys.executable, str(BENCHMARKS / script), "--small", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def rows_of(page):
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    return {
        cells[0]: cells[1:] for cells in ([c.strip() for c in x[1:-1].split("|")] for x in lines)
    }


@pytest.mark.parametrize("pair", ["mlp", "text"])
def test_the_small_setting_times_every_row(pair):
    rows = rows_of(page_of("speed.py", "--pair", pair))
    assert {"`student.fit`", "`keras.distillation`, outputs", "live, float32"} <= set(rows)
    assert ("cached on disk, 4 views" in rows) == (pair == "mlp")
    for name, cells in rows.items():
        if name == "row":
            continue
        assert float(cells[0].replace(",", "")) > 0.0
        assert all(float(found) > 0.0 for found in re.findall(r"\d+\.\d+", cells[1]))
    bytes_of_an_example = {"mlp": "20", "text": "4"}[pair]  # ten or two logits of two bytes
    assert rows["cached on disk"][5] == bytes_of_an_example


def test_cached_views_are_trained_once(tmp_path):
    first = rows_of(page_of("views.py", "--cache", str(tmp_path)))
    assert set(first) == {
        "row",
        "student alone",
        "live teacher, fresh augmentation",
        "cached, 2 views",
    }
    trained = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.json")}
    assert rows_of(page_of("views.py", "--cache", str(tmp_path))) == first
    assert {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.json")} == trained


def test_rows_from_a_cache_alone():
    rows = rows_of(page_of("speed.py", "--near"))
    assert len(rows) == 5  # the headings and four pairs
    for name, cells in rows.items():
        if name != "pair":
            assert all(float(found) > 0.0 for found in re.findall(r"\d+\.\d+", " ".join(cells)))
