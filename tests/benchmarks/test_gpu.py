import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

GPU = Path(__file__).parents[2] / "benchmarks" / "gpu.py"
ROWS = ("alone", "DKD", "CRD")  # a warm-up, and numbers that travel with the data

pytestmark = pytest.mark.slow


def gpu(*arguments):
    command = [sys.executable, str(GPU), *map(str, arguments)]
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def rows_of(page):
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    return {
        cells[0]: cells[1:] for cells in ([c.strip() for c in x[1:-1].split("|")] for x in lines)
    }


def test_every_step_is_timed(tmp_path):
    figures = tmp_path / "gpu.json"
    gpu("speed", "--small", "--figures", figures)
    rows = rows_of(gpu("page", "--figures", figures))
    live = {"live, float32", "live, bfloat16", "live, one feature layer"}
    assert live | {"student alone", "answers carried in the data"} <= set(rows)
    assert all(float(rows[name][2]) > 0.0 for name in live)


def test_the_table_goes_on_where_it_was_stopped(tmp_path):
    figures, cache = tmp_path / "gpu.json", tmp_path / "cache"

    def train(minutes, *how):
        options = ("--cache", cache, "--figures", figures, "--seeds", 0, 1, "--only", *ROWS)
        gpu("table", "--small", "--minutes", minutes, *how, *options)
        return {
            (each["row"], each["seed"]): each["test"]
            for each in json.loads(figures.read_text())["table"]
        }

    assert train(0) == {}
    done = train(10)
    assert set(done) == {("teacher", 0), *((row, seed) for row in ROWS for seed in (0, 1))}
    rows = rows_of(gpu("page", "--figures", figures))
    assert [rows[row][4] for row in ROWS] == ["2"] * len(ROWS)
    assert rows["FitNet"][2] == "missing"
    # What is there is not trained again, and the same seed gives the same.
    for file in cache.glob("DKD-0.*"):
        file.unlink()
    assert train(10) == done
    # In one program, whose sums may be rounded in another order: 20 images, 5 % each.
    for file in cache.glob("*-0.*"):
        if not file.name.startswith("teacher"):
            file.unlink()
    together = train(10, "--together")
    assert together == pytest.approx(done, abs=10.1)
    assert {each["rows"] for each in json.loads(figures.read_text())["table"]} == {1, len(ROWS)}


def test_packed_images_come_back_in_their_order(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(GPU.parent))
    images_on_device = pytest.importorskip("gpu_images")
    rng = np.random.default_rng(0)
    # Smooth, as photographs are: JPEG keeps their neighbourhoods, not noise.
    corners = rng.integers(0, 256, (2005, 2, 2, 3))
    images = corners.repeat(4, axis=1).repeat(4, axis=2).astype("uint8")
    labels = np.arange(2005) % 100
    file = tmp_path / "set.npz"
    arrays = {}
    for split in ("train", "test"):
        arrays |= images_on_device.packed(split, images, labels)
    np.savez(file, **arrays)
    for found, found_labels in images_on_device.unpack(file):
        np.testing.assert_array_equal(found_labels, labels)
        errors = np.abs(found.astype(int) - images).mean(axis=(1, 2, 3))
        assert found.shape == images.shape and errors.max() < 12.0
