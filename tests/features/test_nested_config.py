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


@pytest.mark.parametrize("cls", [Ensemble, Distiller])
def test_what_is_not_registered_is_found_in_the_callers_scope(cls):
    config = (Ensemble([net(), net()]) if cls is Ensemble else Distiller(net(), net())).get_config()
    with pytest.raises(TypeError, match="Doubled"):
        cls.from_config(config)
    with keras.saving.custom_object_scope({"Doubled": Doubled}):
        assert isinstance(cls.from_config(config), cls)
