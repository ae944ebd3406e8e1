"""What students learn from where images are augmented, or have no labels."""

import dataclasses

import numpy as np
import tensorflow as tf

from keras_kd.data import digits
from keras_kd.demo.augmentation import VIEWS, Augmentation
from keras_kd.demo.training_data import TrainingData


def test_a_student_alone_sees_as_many_views_as_the_teacher_answers():
    train = TrainingData(digits(), 10, Augmentation(flips=False))
    shown = [x.tobytes() for x, _ in train("alone", 0).unbatch().take(600).as_numpy_iterator()]
    assert 10 < len(set(shown)) <= 10 * VIEWS
    few = TrainingData(digits(), 10)("alone", 0).unbatch().take(600)
    assert len({x.tobytes() for x, _ in few.as_numpy_iterator()}) == 10


def test_images_without_labels_come_without_any():
    data = dataclasses.replace(digits(), class_names=())
    told = tf.data.Dataset.from_tensor_slices(({"inputs": np.zeros((4, 8, 8, 1))}, [-1] * 4))
    assert set(next(iter(TrainingData(data, 0)("distilled", 0, told)))) == {"inputs"}
