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


def test_losses_that_join_at_fit_train_on_two_replicas_as_on_one_device():
    script = """
        import contextlib, keras, numpy as np, tensorflow as tf
        from keras_kd import Distiller
        from keras_kd.callbacks import FeatureMatching
        from keras_kd.losses import FitNetLoss

        device = tf.config.list_physical_devices("CPU")[0]
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(device, two)
        both = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(16, 4)).astype("float32"), rng.integers(0, 3, 16)
        features = {"hidden": rng.normal(size=(16, 8)).astype("float32")}
        carried = {"inputs": x, "teacher_outputs": rng.normal(size=(16, 3)).astype("float32"),
                   "teacher_features": features}
        layers, runs = {"hidden": "hidden"}, []
        for scope in (contextlib.nullcontext(), both.scope()):
            with scope:
                keras.utils.set_random_seed(0)
                inputs = keras.Input((4,))
                hidden = keras.layers.Dense(5, "tanh", name="hidden")(inputs)
                student = keras.Model(inputs, keras.layers.Dense(3)(hidden))
                waiting = FitNetLoss(layers=layers, weight=1.0, name="waiting")
                model = Distiller(student, alpha=0.3, feature_losses=[waiting])
                loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
                model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss)
            data = tf.data.Dataset.from_tensor_slices((carried, y)).batch(8)
            joining = FitNetLoss(layers=layers, weight=1.0, name="joining")
            callbacks = [FeatureMatching(joining)]
            history = model.fit(data, epochs=2, verbose=0, callbacks=callbacks).history
            runs.append((model.get_weights(), history))
        assert {"waiting", "joining"} < set(runs[0][1])
        for a, b in zip(runs[0][0], runs[1][0], strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
        for key, values in runs[0][1].items():
            np.testing.assert_allclose(values, runs[1][1][key], rtol=1e-5, err_msg=key)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert run.returncode == 0, run.stderr[-3000:]
