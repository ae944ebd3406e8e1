"""Teachers that were made under a `tf.distribute` strategy."""

import json
import os
import socket
import subprocess
import sys
import textwrap

import keras
import pytest

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf.distribute is TensorFlow's"
)

REPLICAS = """
    import keras, numpy as np, tempfile, tensorflow as tf
    from keras_kd import TeacherCache
    from keras_kd.evaluation import compare

    device = tf.config.list_physical_devices("CPU")[0]
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(device, two)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        layers = [keras.layers.Dense(3, name=name, use_bias=False) for name in "ab"]
        teacher = keras.Sequential([keras.Input((4,)), *layers])
    x, y = np.random.default_rng(0).normal(size=(21, 4)).astype("float32"), np.arange(21) % 3
    expected = x @ layers[0].kernel.numpy() @ layers[1].kernel.numpy()

    def labelled(**settings):
        cache = TeacherCache(tempfile.mkdtemp(), teacher, dtype="float32", **settings)
        data = cache.label((x, y), batch_size=8)
        return np.stack([x["teacher_outputs"] for x, _ in data.as_numpy_iterator()])

    np.testing.assert_allclose(labelled(), expected, atol=1e-5)
    with strategy.scope():
        np.testing.assert_allclose(labelled(layers=["a"]), expected, atol=1e-5)
    accuracy = compare({"teacher": teacher}, (x, y)).rows[0]["accuracy"]
    np.testing.assert_allclose(accuracy, np.mean(expected.argmax(1) == y), atol=1e-6)
"""

WORKERS = """
    import keras, tempfile, tensorflow as tf
    from keras_kd import TeacherCache

    with tf.distribute.MultiWorkerMirroredStrategy().scope():
        teacher = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    try:
        TeacherCache(tempfile.mkdtemp(), teacher)
    except ValueError as error:
        assert "label_shard(dataset, index, count)" in str(error), error
    else:
        raise AssertionError("a teacher of two processes was accepted")
"""


def started(script, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
    )


def test_a_teacher_on_two_replicas_gives_each_answer_once():
    with started(REPLICAS) as run:
        told = run.communicate(timeout=300)[0]
    assert run.returncode == 0, told[-3000:]


@pytest.mark.slow
def test_a_teacher_of_two_processes_is_refused_before_they_wait_for_each_other():
    with socket.socket() as one, socket.socket() as two:
        ports = []
        for each in (one, two):
            each.bind(("localhost", 0))
            ports.append(each.getsockname()[1])
    cluster = {"worker": [f"localhost:{port}" for port in ports]}
    runs = []
    for index in (0, 1):
        task = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        runs.append(started(WORKERS, TF_CONFIG=json.dumps(task)))
    for run in runs:
        told = run.communicate(timeout=300)[0]
        assert run.returncode == 0, told[-3000:]
