"""Files of images and models, as a user has them."""

import keras
import pytest
from lamps import SIZE, net, picture


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """60 images, dark and light, of which the names are in the order of the alphabet."""
    place = tmp_path_factory.mktemp("own") / "lamps"
    for number in range(30):
        picture(place / "off" / f"{number}.png", 10 + 3 * number)
        picture(place / "on" / f"{number}.png", 150 + 3 * number)
    return place


@pytest.fixture(scope="session")
def teacher(tmp_path_factory):
    """A file of a teacher of both classes that ends in a softmax."""
    path = tmp_path_factory.mktemp("own") / "teacher.keras"
    net(keras.layers.Dense(2, "softmax")).save(path)
    return str(path)


@pytest.fixture(scope="session")
def student(tmp_path_factory):
    """A file of an untrained student of logits, which rescales by itself."""
    path = tmp_path_factory.mktemp("own") / "student.keras"
    layers = [
        keras.Input((*SIZE, 3)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Flatten(),
        keras.layers.Dense(2, name="scores"),
    ]
    keras.Sequential(layers, name="small").save(path)
    return str(path)
