import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from coco_average_precision import coco_average_precision

NAMES = ("red", "white", "platelet")
TRUTH = [
    {"boxes": np.array([[0.1, 0.1, 0.3, 0.4], [0.5, 0.5, 0.9, 0.9]]), "classes": np.array([0, 1])},
    {"boxes": np.array([[0.2, 0.6, 0.4, 0.8]]), "classes": np.array([0])},
    {"boxes": np.zeros((0, 4)), "classes": np.zeros(0, int)},
]


def copies(truth):
    return [{**one, "scores": np.full(len(one["boxes"]), 0.9)} for one in truth]


def test_a_detector_that_is_right_has_all():
    found = coco_average_precision(TRUTH, copies(TRUTH), NAMES)
    for name in ("map50", "map", "ap50 red", "ap50 white"):
        assert found[name] == pytest.approx(100.0)
    assert np.isnan(found["ap50 platelet"])


def test_a_detector_that_says_nothing_has_nothing():
    nothing = [{"boxes": np.zeros((0, 4)), "classes": [], "scores": []}] * 3
    found = coco_average_precision(TRUTH, nothing, NAMES)
    assert found["map50"] == found["ap50 red"] == 0.0


def test_one_of_two_red_cells_and_one_wrong_before_it():
    # In order of scores: wrong, right. Recall 1/2 at precision 1/2, of 101 points of recall 51.
    one = [
        {
            "boxes": np.array([[0.6, 0.1, 0.8, 0.2], [0.1, 0.1, 0.3, 0.4]]),
            "classes": [0, 0],
            "scores": [0.9, 0.8],
        },
        {"boxes": np.zeros((0, 4)), "classes": [], "scores": []},
        {"boxes": np.zeros((0, 4)), "classes": [], "scores": []},
    ]
    found = coco_average_precision(TRUTH, one, NAMES)
    assert found["ap50 red"] == pytest.approx(100.0 * 51 / 101 / 2)
    assert found["ap50 white"] == 0.0


def test_an_overlap_of_two_thirds_counts_at_a_half_and_not_at_three_quarters():
    moved = copies(TRUTH)
    height = TRUTH[1]["boxes"][0, 2] - TRUTH[1]["boxes"][0, 0]
    moved[1]["boxes"] = moved[1]["boxes"] + np.array([1, 0, 1, 0]) * height / 5.0  # 4 / 6
    found = coco_average_precision(TRUTH, moved, NAMES)
    assert found["map50"] == pytest.approx(100.0)
    assert found["map"] < 90.0
