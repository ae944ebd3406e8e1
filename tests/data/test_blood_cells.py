import os

import numpy as np
import pytest

from keras_kd.data import blood_cells

pytestmark = pytest.mark.skipif(
    not os.environ.get("KERAS_KD_DATA_DIR"),
    reason="KERAS_KD_DATA_DIR does not say where the TFDS data sets are",
)


def test_every_split_is_read_with_boxes_inside_the_image():
    data = blood_cells(os.environ["KERAS_KD_DATA_DIR"], image_size=(48, 64))
    assert data.class_names == ("RBC", "WBC", "Platelets")
    assert data.num_classes == 3
    assert data.image_shape == (48, 64, 3)
    assert [len(split) for split in (data.train, data.validation, data.test)] == [205, 87, 72]
    seen = set()
    for image, objects in data.test.take(20).as_numpy_iterator():
        assert image.shape == (48, 64, 3)
        assert image.dtype == np.float32
        assert 0.0 <= image.min() < image.max() <= 255.0
        assert image.max() > 100.0  # not in 0..1
        boxes, classes = objects["boxes"], objects["classes"]
        assert boxes.shape == (len(classes), 4)
        assert ((boxes >= 0.0) & (boxes <= 1.0)).all()
        assert (boxes[:, 2:] >= boxes[:, :2]).all()
        seen |= set(classes)
    assert seen == {0, 1, 2}


def test_two_reads_give_one_order():
    data = blood_cells(os.environ["KERAS_KD_DATA_DIR"], image_size=(48, 64))
    first, second = (
        [objects["boxes"] for _, objects in data.train.take(5).as_numpy_iterator()]
        for _ in range(2)
    )
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
