import keras
import pytest

from keras_kd.features.nested_layers import all_layers, custom_objects

pytestmark = [pytest.mark.core, pytest.mark.alike]


def squash(x):
    return keras.ops.tanh(x)


class Branches(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.branches = {"a": [keras.layers.Dense(1, name="deep", activation=squash)]}


def test_layers_are_found_however_deep_and_once():
    shared = Branches(name="branches")
    model = keras.Sequential([keras.Sequential([shared]), shared])
    names = [layer.name for layer in all_layers(model)]
    assert names.count("branches") == names.count("deep") == 1


def test_the_users_classes_and_functions_are_found():
    model = keras.Sequential([Branches(), keras.layers.ReLU()])
    assert custom_objects(model) == {"Branches": Branches, "squash": squash}
