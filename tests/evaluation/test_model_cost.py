import keras
import numpy as np
import pytest

from keras_kd.evaluation.model_cost import measure_cost, weights_bytes

pytestmark = pytest.mark.core


class Recorder(keras.layers.Layer):
    """Tells which batch sizes it has seen; `run_eagerly` makes it see each call."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def call(self, inputs):
        self.seen.add(inputs.shape[0])
        return inputs


def test_latency_is_that_of_batches_of_1_and_32_even_if_the_data_come_in_others():
    layer = Recorder()
    model = keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(2)])
    model.compile(run_eagerly=True)
    layer.seen.clear()
    costs = measure_cost(model, np.ones((5, 4), "float32"))
    assert layer.seen == {1, 32}
    for size in (1, 32):
        assert 0 < costs[f"latency_ms_batch{size}"] <= costs[f"latency_p95_ms_batch{size}"]


def test_parameters_count_all_weights():
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.BatchNormalization(), keras.layers.Dense(2)]
    )
    costs = measure_cost(model, np.ones((2, 4), "float32"))
    assert costs["parameters"] == 4 * 4 + 4 * 2 + 2
    assert costs["flops"] >= 2 * 4 * 2
    assert costs["size_bytes"] > 4 * costs["parameters"]


def test_bytes_of_weights_are_those_of_each_dtype():
    layers = [keras.Input((4,)), keras.layers.Dense(3, dtype="bfloat16"), keras.layers.Dense(2)]
    model = keras.Sequential(layers)
    assert weights_bytes(model) == 2 * (4 * 3 + 3) + 4 * (3 * 2 + 2)
    model.compile("adam", "mse")  # what trains it is not shipped
    model.optimizer.build(model.trainable_variables)
    assert weights_bytes(model) == 2 * (4 * 3 + 3) + 4 * (3 * 2 + 2)
