"""Compares samples on two replicas of one process of TensorFlow; `test_replicas.py` runs it.

Prints one line of JSON: how far trainings on two replicas ended from that on one device.
"""

import contextlib
import json
import os
import warnings

if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "tensorflow"

import numpy as np
import tensorflow as tf
from trainings import BATCH, apart, distiller, examples, fitted, net, numbers, relational


def data():
    weights = np.random.default_rng(1).uniform(0.0, 2.0, len(examples()[1])).astype("float32")
    return tf.data.Dataset.from_tensor_slices((*examples(), weights)).batch(BATCH)


def trained(losses):
    model = distiller(net(8, 1), losses)
    model.validate_with_teacher = True
    history = fitted(model, data(), validation_data=data())
    return model, history


def memories(model):
    """What CRDLoss remembers, as each replica has it."""
    names = ("teacher_memory", "student_memory")
    found = [v for v in model.variables if v.name in names]
    return [[np.asarray(part) for part in getattr(v.value, "values", [v.value])] for v in found]


def warned():
    """The losses that say that they compare within a replica."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        trained(relational())
    words = " compares the samples of a batch with each other, and each replica"
    return sorted({str(w.message).split(words)[0] for w in found if words in str(w.message)})


def main():
    device = tf.config.list_physical_devices("CPU")[0]
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(device, two)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    runs = {}
    for name, scope, gather in (
        ("alone", contextlib.nullcontext(), True),
        ("gathered", strategy.scope(), True),
        ("apart", strategy.scope(), False),
    ):
        with scope:
            model, history = trained(relational(gather=gather))
            runs[name] = numbers(model), history, memories(model)
    told = {
        name: [apart(a, b) for a, b in zip(runs["alone"][:2], runs[name][:2], strict=True)]
        for name in ("gathered", "apart")
    }
    copies = runs["gathered"][2]
    told["copies"] = [len(values) for values in copies]
    told["between_copies"] = max(float(np.abs(a - b).max()) for a, b in copies)
    with strategy.scope():
        told["warned"] = warned()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
