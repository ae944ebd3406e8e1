"""Trains in one of two processes of JAX; `test_jax_processes.py` starts both.

Arguments: the coordinator's port, this process' number, and a folder that both see. Prints one line
of JSON: how far each way to train ended from that of one process.
"""

import json
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import tensorflow as tf
from jax.experimental import multihost_utils
from trainings import BATCH, VECTORS, apart, distiller, examples, fitted, net, numbers, relational

from keras_kd import TeacherCache, losses

PROCESSES = 2


def hint():
    return losses.FitNetLoss(**VECTORS, weight=2.0)


def whole_batches():
    """The same batches in every process: Keras hands each process its part of them."""
    return tf.data.Dataset.from_tensor_slices(examples()).batch(BATCH)


def own_share(cache, process, processes):
    """Every so-manieth example of a cache, in batches as much smaller."""
    x, y = examples()
    data = cache.label((x["inputs"], y))
    return data.shard(processes, process).batch(BATCH // processes, drop_remainder=True)


def trained():
    data = whole_batches()
    model = distiller(net(8, 1), [hint(), *relational()])
    history = fitted(model, data, validation_data=data)
    return numbers(model), history


def resumed(file):
    """In two halves, with a file between them, which all processes write: saving is in step."""
    data = whole_batches()
    model = distiller(net(8, 1), [hint(), *relational()])
    first = fitted(model, data, epochs=1, validation_data=data)
    model.save(file)
    multihost_utils.sync_global_devices("saved")
    model = keras.saving.load_model(file)
    second = fitted(model, data, first=1, validation_data=data)
    return numbers(model), {name: first[name] + second[name] for name in first}


def cached(cache, *share):
    model = distiller(None, [hint()])
    history = fitted(model, own_share(cache, *share))
    return numbers(model), history


def difference(one, other):
    return max(apart(a, b) for a, b in zip(one, other, strict=True))


def main(port, process, folder):
    keras.config.disable_interactive_logging()
    keras.distribution.initialize(f"localhost:{port}", PROCESSES, process)
    cache = TeacherCache(folder / "cache", net(8, 1), dtype="float32", layers=["hidden"])
    x, y = examples()
    # Each labels its part of the examples into the folder, before the processes train together.
    cache.label_shard((x["inputs"], y), process, PROCESSES)
    multihost_utils.sync_global_devices("labelled")
    alone, cached_alone = trained(), cached(cache, 0, 1)
    parallel = keras.distribution.DataParallel()
    told = {"devices": jax.device_count(), "local_devices": jax.local_device_count()}
    with parallel.scope():
        told["trained"] = difference(alone, trained())
        told["resumed"] = difference(alone, resumed(folder / "half.keras"))
    own = keras.distribution.DataParallel(auto_shard_dataset=False)
    with own.scope():
        told["cached"] = difference(cached_alone, cached(cache, process, PROCESSES))
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
