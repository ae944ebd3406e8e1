"""The mean teacher under a `tf.distribute` strategy."""

import os
import subprocess
import sys
import textwrap

import keras
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow", reason="tf.distribute is TensorFlow's"
    ),
]

REPLICAS = """
    import keras, keras_kd, numpy as np, tensorflow as tf

    device = tf.config.list_physical_devices("CPU")[0]
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(device, two)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 4)).astype("float32"), np.arange(12) % 3

    def trained(strategy):
        keras.utils.set_random_seed(0)
        with strategy.scope():
            student = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        teacher = keras_kd.teachers.MovingAverage(student, 0.8, ramp_up=True)
        with strategy.scope():
            distiller = keras_kd.Distiller(student, teacher, alpha=0.5)
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            distiller.compile(keras.optimizers.SGD(0.1), loss)
        distiller.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        return teacher

    alone = trained(tf.distribute.get_strategy())
    both = trained(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
    assert len(both.weights) == len(alone.weights) == 4
    for weight, expected in zip(both.weights, alone.get_weights()):
        replicas = [each.numpy() for each in weight.value.values]
        assert len(replicas) == 2
        np.testing.assert_array_equal(*replicas, err_msg=weight.path)
        np.testing.assert_allclose(replicas[0], expected, atol=1e-6, err_msg=weight.path)
"""


def test_two_replicas_average_as_one_device_does():
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(REPLICAS)],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, (run.stdout + run.stderr)[-3000:]
