import numpy as np
import pytest

from keras_kd.data import ellipse_mask


def mask_of(boxes, classes, size=(40, 60), **kwargs):
    kwargs = {"num_classes": 3, **kwargs}
    boxes = np.asarray(boxes, "float32").reshape(-1, 4)
    return ellipse_mask(boxes, np.asarray(classes, "int32"), size, **kwargs).numpy()


def test_an_image_without_objects_is_background():
    mask = mask_of([], [])
    assert mask.shape == (40, 60)
    assert mask.dtype == np.int32
    assert not mask.any()


def test_an_object_is_an_ellipse_with_a_band_around_it():
    # 20 high and 30 wide about (20, 30).
    mask = mask_of([[0.25, 0.25, 0.75, 0.75]], [1])
    assert set(np.unique(mask)) == {0, 2, 255}
    assert mask[20, 30] == 2
    assert mask[10, 15] == 0  # the corner of its box
    assert mask[20, 15] == mask[20, 44] == 255  # the rim, left and right
    assert mask[10, 30] == mask[29, 30] == 255  # above and below
    area = (mask == 2).sum() + (mask == 255).sum() / 2.0
    assert area == pytest.approx(np.pi * 10 * 15, rel=0.03)


def test_a_wider_band_ignores_more():
    box = [[0.25, 0.25, 0.75, 0.75]]
    ignored = [(mask_of(box, [0], band=band) == 255).sum() for band in (0.5, 1.0, 3.0)]
    # Between ellipses of 1 - band / 10 and 1 + band / 10 times the size.
    expected = [np.pi * 10 * 15 * 4 * band / 10 for band in (0.5, 1.0, 3.0)]
    np.testing.assert_allclose(ignored, expected, rtol=0.1)


def test_where_two_classes_overlap_no_class_is_known():
    boxes = [[0.25, 0.1, 0.75, 0.6], [0.25, 0.4, 0.75, 0.9]]
    mask = mask_of(boxes, [0, 1])
    assert mask[20, 15] == 1
    assert mask[20, 45] == 2
    assert mask[20, 30] == 255


def test_where_two_of_a_class_overlap_it_is_known():
    boxes = [[0.25, 0.1, 0.75, 0.6], [0.25, 0.4, 0.75, 0.9]]
    mask = mask_of(boxes, [2, 2])
    assert mask[20, 30] == 3
    # The rim of one, well inside the other.
    assert mask[20, 35] == 3


def test_an_object_smaller_than_the_band_is_nothing_but_band():
    mask = mask_of([[0.5, 0.5, 0.5, 0.5]], [0])
    assert set(np.unique(mask)) == {0, 255}


@pytest.mark.parametrize("wrong", [0, 1, 3])
def test_an_ignore_label_that_is_a_class_is_refused(wrong):
    with pytest.raises(ValueError, match=rf"classes 0 to 3. Received: ignore_class={wrong}"):
        mask_of([], [], ignore_class=wrong)
    assert mask_of([[0.25, 0.25, 0.75, 0.75]], [0], ignore_class=4).max() == 4
