import keras
import numpy as np
import pytest

from keras_kd.evaluation.size_on_disk import size_on_disk

pytestmark = pytest.mark.core


def network():
    return keras.Sequential(
        [keras.Input((16,)), keras.layers.Dense(256, activation="relu"), keras.layers.Dense(3)]
    )


def test_size_is_that_of_the_saved_file(tmp_path):
    model = network()
    model.save(tmp_path / "model.keras")
    size = (tmp_path / "model.keras").stat().st_size
    assert size_on_disk(model) == pytest.approx(size, abs=2048)
    assert size_on_disk(model) > 4 * model.count_params()


def test_state_of_the_optimizer_does_not_count():
    model = network()
    bare = size_on_disk(model)
    model.compile("adam", "mse")
    model.fit(np.ones((8, 16)), np.ones((8, 3)), verbose=0)
    # Adam holds 8 bytes a parameter; what stays is the compile configuration, 1 to 2 KiB of JSON.
    assert size_on_disk(model) - bare < 4096 < 8 * model.count_params()
    nested = keras.Sequential([keras.Input((16,)), model])
    assert size_on_disk(nested) - bare < 4096


def test_measuring_leaves_the_optimizer_alone():
    model = network()
    model.compile("adam", "mse")
    model.fit(np.ones((8, 16)), np.ones((8, 3)), verbose=0)
    before = [np.array(variable) for variable in model.optimizer.variables]
    size_on_disk(model)
    for old, new in zip(before, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(old, np.array(new))


def test_subclass_that_cannot_be_saved_counts_with_its_weights():
    class Custom(keras.Model):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer

        def call(self, inputs):
            return self.layer(inputs)

    model = Custom(keras.layers.Dense(10_000))
    model(np.ones((1, 10), "float32"))
    # 4 bytes a parameter, and what HDF5 needs for itself
    assert size_on_disk(model) == pytest.approx(4 * model.count_params(), rel=0.05)
