import numpy as np

from keras_kd.data import location_targets, locations

SIZE = (64, 96)


def targets_of(boxes, classes, **kwargs):
    """Targets and weights of boxes in pixels, as NumPy."""
    scale = np.array([*SIZE, *SIZE], "float32")
    boxes = np.asarray(boxes, "float32").reshape(-1, 4) / scale
    found = location_targets(
        boxes, np.asarray(classes, "int32"), SIZE, **{"num_classes": 3, **kwargs}
    )
    return tuple({name: value.numpy() for name, value in part.items()} for part in found)


def at(y, x, stride):
    """The number of the location of that stride whose cell holds a pixel."""
    centres, strides = locations(SIZE, (8, 16))
    near = (np.abs(centres - [y, x]).max(axis=1) < stride / 2) & (strides == stride)
    (index,) = np.flatnonzero(near)
    return index


def test_an_image_without_boxes_is_background():
    targets, weights = targets_of([], [])
    assert targets["classes"].shape == (96 + 24, 3)
    assert not targets["classes"].any()
    assert not weights["boxes"].any()
    assert (weights["classes"] == 1.0).all()


def test_a_small_box_is_answered_for_near_its_centre_on_the_fine_level():
    targets, weights = targets_of([[8, 16, 32, 48]], [2])
    index = at(20, 30, 8)  # its centre is (20, 28)
    np.testing.assert_array_equal(targets["classes"][index], [0, 0, 1])
    # From (20, 28): 12 up and down, 12 left, 20 right, in 4 strides of 8.
    np.testing.assert_allclose(targets["boxes"][index], np.array([12, 12, 12, 20]) / 32.0)
    assert weights["boxes"][index] > 0.0
    positive = np.flatnonzero(targets["classes"].any(axis=1))
    centres, strides = locations(SIZE, (8, 16))
    assert (strides[positive] == 8.0).all()
    assert (np.abs(centres[positive] - [20, 32]).max(axis=1) <= 12.0).all()
    # Three rows and, on either side of x = 32 within 12 pixels, four columns less the farther ones.
    expected = [c for c in centres[strides == 8] if (abs(c - [20, 32]) <= 12.0).all()]
    inside = [c for c in expected if 8 < c[0] < 32 and 16 < c[1] < 48]
    assert len(positive) == len(inside)


def test_a_large_box_is_answered_for_on_the_coarse_level():
    targets, _ = targets_of([[0, 8, 64, 88]], [0])  # farther than 32 from side to side
    _, strides = locations(SIZE, (8, 16))
    positive = targets["classes"][:, 0] == 1.0
    assert positive.any()
    assert (strides[positive] == 16.0).all()


def test_each_location_decides_by_its_farthest_side():
    # 60 wide: from its middle 30 to either side, which the fine level reaches; elsewhere not.
    targets, _ = targets_of([[8, 16, 32, 76]], [0], radius=100.0)
    index = at(20, 45, 8)
    assert targets["classes"][index, 0] == 1.0
    assert targets["classes"][at(20, 20, 8), 0] == 0.0
    assert targets["classes"][at(24, 24, 16), 0] == 1.0


def test_of_two_boxes_the_smaller_one_wins():
    boxes = [[8, 8, 40, 40], [16, 16, 32, 32]]
    for order in ([0, 1], [1, 0]):
        targets, _ = targets_of([boxes[i] for i in order], order)
        np.testing.assert_array_equal(targets["classes"][at(20, 22, 8)], [0, 1, 0])


def test_weights_of_boxes_are_1_in_the_mean_of_an_image():
    for boxes in ([[8, 16, 32, 48]], [[8, 16, 32, 48], [40, 60, 56, 76]]):
        targets, weights = targets_of(boxes, [0] * len(boxes))
        np.testing.assert_allclose(weights["boxes"].mean(), 1.0, rtol=1e-6)
        positive = targets["classes"].any(axis=1)
        np.testing.assert_array_equal(weights["boxes"] > 0.0, positive)
        assert not targets["boxes"][~positive].any()
