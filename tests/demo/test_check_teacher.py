"""Teachers that do not know the data."""

import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from lamps import SIZE, net

from keras_kd.data import ImageData
from keras_kd.demo.check_teacher import check_teacher
from keras_kd.demo.own_model import OwnModel


def data(labels, names, values):
    """Images of one value each, all of them in the validation split."""
    images = np.zeros((len(labels), *SIZE, 3), "float32") + np.reshape(values, (-1, 1, 1, 1))
    split = tf.data.Dataset.from_tensor_slices((images, np.array(labels, "int32")))
    parts = dict.fromkeys(("train", "validation", "test"), split)
    return ImageData(name="lamps", class_names=names, image_shape=(*SIZE, 3), **parts)


def own(model):
    outputs = model.output_shape[-1]
    return OwnModel("teacher", pathlib.Path("own.keras"), model, (*SIZE, 3), outputs, True)


BRIGHT = [20.0] * 20 + [230.0] * 20
LABELS = [0] * 20 + [1] * 20


def test_a_teacher_that_is_right_is_not_doubted():
    lamps = data(LABELS, ("off", "on"), BRIGHT)
    assert check_teacher(own(net(keras.layers.Dense(2))), lamps, "255") is None


def test_a_teacher_of_one_class_alone_is_refused_although_most_images_are_of_it():
    lamps = data([0] * 36 + [1] * 4, ("off", "on"), [20.0] * 36 + [100.0] * 4)
    with pytest.raises(ValueError, match=r"no better than chance.*90\.0 % right of 40"):
        check_teacher(own(net(keras.layers.Dense(2))), lamps, "255")


def test_few_images_tell_nothing():
    lamps = data([1, 0], ("off", "on"), [20.0, 230.0])
    assert "--class-names on,off" in check_teacher(own(net(keras.layers.Dense(2))), lamps, "255")


def test_two_classes_of_several_that_are_exchanged_are_doubted():
    values = np.repeat([20.0, 230.0, 120.0, 400.0], 20)

    class Quarters(keras.Model):
        def call(self, x):
            mean = keras.ops.mean(x, axis=(1, 2, 3))[:, None]
            return -keras.ops.abs(mean - keras.ops.array([[230.0, 20.0, 120.0, 400.0]]))

    model = Quarters()
    model.build((None, *SIZE, 3))
    teacher = OwnModel("teacher", pathlib.Path("own.keras"), model, (*SIZE, 3), 4, True)
    lamps = data(np.repeat(range(4), 20), ("a", "b", "c", "d"), values)
    assert "With --class-names b,a,c,d 100.0 % would" in check_teacher(teacher, lamps, "255")


def test_one_answer_to_all_images_without_labels_is_doubted():
    model = own(net(keras.layers.Dense(2)))
    assert check_teacher(model, data([-1] * 40, (), BRIGHT), "255") is None
    said = check_teacher(model, data([-1] * 40, (), [20.0] * 40), "255")
    assert "output 0 of 100 % of the images" in said and "--pixels" in said
