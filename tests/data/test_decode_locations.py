import numpy as np
import pytest

from keras_kd.data import decode_locations, location_targets

SIZE = (64, 96)
BOXES = np.array([[8, 16, 32, 48], [0, 8, 64, 88], [40, 60, 56, 76]]) / [64, 96, 64, 96]
CLASSES = np.array([2, 0, 1], "int32")


def perfect(boxes=BOXES, classes=CLASSES):
    """The answers of a detector that is right, as logits."""
    targets, _ = location_targets(boxes, classes, SIZE, num_classes=3)
    scores = np.where(targets["classes"].numpy() > 0.0, 5.0, -9.0)
    return {"classes": scores[None], "boxes": targets["boxes"].numpy()[None]}


def test_targets_decode_to_the_boxes_that_they_came_from():
    found = {name: value.numpy()[0] for name, value in decode_locations(perfect(), SIZE).items()}
    assert found["count"] == 3
    order = np.argsort(found["classes"][:3])
    np.testing.assert_array_equal(found["classes"][:3][order], [0, 1, 2])
    np.testing.assert_allclose(found["boxes"][:3][order], BOXES[[1, 2, 0]], atol=1e-6)
    assert found["scores"][:3] == pytest.approx(1.0 / (1.0 + np.exp(-5.0)), rel=1e-5)


def test_scores_below_the_least_are_no_boxes():
    outputs = perfect()
    outputs["classes"] = np.minimum(outputs["classes"], -1.0)
    assert decode_locations(outputs, SIZE)["count"].numpy()[0] == 3
    assert decode_locations(outputs, SIZE, least_score=0.5)["count"].numpy()[0] == 0


def test_there_are_no_more_boxes_than_asked_for():
    found = decode_locations(perfect(), SIZE, most_boxes=2)
    assert found["boxes"].shape == (1, 2, 4)
    assert found["count"].numpy()[0] == 2


def test_boxes_end_at_the_border():
    outputs = perfect()
    outputs["boxes"] = outputs["boxes"] + 10.0
    boxes = decode_locations(outputs, SIZE)["boxes"].numpy()
    assert boxes.min() == 0.0
    assert boxes.max() == 1.0
