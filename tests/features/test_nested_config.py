"""Configs of what holds models are read within the scope that the caller has opened."""

import keras
import pytest

from keras_kd import Distiller
from keras_kd.teachers import Ensemble

pytestmark = [pytest.mark.core, pytest.mark.alike]


class Doubled(keras.layers.Layer):
    """A user's layer that is not registered."""

    def call(self, x):
        return 2 * x


def net():
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(3)(Doubled()(inputs)))


@pytest.mark.parametrize(
    "make", [lambda: Ensemble([net(), net()]), lambda: Distiller(net(), net())]
)
def test_what_is_not_registered_is_found_in_the_callers_scope(make):
    model = make()
    with pytest.raises(TypeError, match="Doubled"):
        type(model).from_config(model.get_config())
    with keras.saving.custom_object_scope({"Doubled": Doubled}):
        # Keras takes a config apart as it reads it: each time another one.
        assert isinstance(type(model).from_config(model.get_config()), type(model))
