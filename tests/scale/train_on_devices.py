"""Trains on one, two and four devices of one process; `test_devices.py` runs it.

Prints one line of JSON: how far each way to train ended from that on one device.
"""

import json
import os
import tempfile
from pathlib import Path

if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "jax"
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"

import jax
import keras
from trainings import BATCH, VECTORS, apart, distiller, examples, fitted, net, numbers, relational

from keras_kd import TeacherCache, losses

X, Y = examples()
FOLDER = Path(tempfile.mkdtemp())


def on(devices):
    """The scope in which batches are spread over so many devices."""
    names = keras.distribution.list_devices()[:devices]
    return keras.distribution.DataParallel(devices=names).scope()


def hint():
    return losses.FitNetLoss(**VECTORS, weight=2.0)


def trained():
    """With a projector, relations between the samples of a batch, schedules and validation."""
    model = distiller(net(8, 1), [hint(), *relational()])
    history = fitted(model, X, Y, batch_size=BATCH, validation_data=(X, Y))
    return numbers(model), history


def resumed():
    """The same in two halves, with a file between them."""
    model = distiller(net(8, 1), [hint(), *relational()])
    told = {"batch_size": BATCH, "validation_data": (X, Y)}
    first = fitted(model, X, Y, epochs=1, **told)
    model.save(FOLDER / "half.keras")
    model = keras.saving.load_model(FOLDER / "half.keras")
    second = fitted(model, X, Y, first=1, **told)
    return numbers(model), {name: first[name] + second[name] for name in first}


def cached():
    """From a cache, without a teacher in memory."""
    cache = TeacherCache(FOLDER / "cache", net(8, 1), dtype="float32", layers=["hidden"])
    data = cache.label((X["inputs"], Y)).batch(BATCH)
    model = distiller(None, [hint()])
    history = fitted(model, data)
    return numbers(model), history


def in_parts(devices):
    """A teacher whose kernels are spread over the devices, beside a student on each of them."""
    names = keras.distribution.list_devices()[:devices]
    mesh = keras.distribution.DeviceMesh((1, devices), ["batch", "model"], names)
    layout = keras.distribution.LayoutMap(mesh)
    layout["teacher_.*/kernel"] = (None, "model")
    with keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch").scope():
        teacher = big_teacher()
        model = distiller(teacher, [])
        history = fitted(model, X, Y, batch_size=BATCH)
    whole = [v.value.is_fully_replicated for v in model.trainable_variables]
    facts = {
        "spread": [v.path for v in teacher.variables if not v.value.is_fully_replicated],
        "student_is_whole": all(whole),
        "teacher_bytes": sum(v.value.nbytes for v in teacher.variables),
        "bytes_a_device": [held_by(device, teacher) for device in jax.devices()[:devices]],
    }
    return (numbers(model), history), facts


def held_by(device, model):
    shards = [shard for v in model.variables for shard in v.value.addressable_shards]
    return sum(shard.data.nbytes for shard in shards if shard.device == device)


def big_teacher():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((4,))
    x = keras.layers.Dense(256, "tanh", name="teacher_1")(inputs)
    x = keras.layers.Dense(256, "tanh", name="teacher_2")(x)
    return keras.Model(inputs, keras.layers.Dense(3, name="scores")(x))


def difference(one, other):
    """The largest, of two trainings' weights and of their histories."""
    return max(apart(a, b) for a, b in zip(one, other, strict=True))


def all_compared():
    start = distiller(net(8, 1), []).student.get_weights()
    alone = trained()
    told = {"moved": apart(start, alone[0][: len(start)])}
    with on(2):
        told["trained_2"] = difference(alone, trained())
        told["resumed_2"] = difference(alone, resumed())
    with on(4):
        told["trained_4"] = difference(alone, trained())
        spread = cached()
    told["cached_4"] = difference(cached(), spread)
    model = distiller(big_teacher(), [])
    history = fitted(model, X, Y, batch_size=BATCH)
    parts, told["in_parts"] = in_parts(2)
    return {**told, "in_parts_2": difference((numbers(model), history), parts)}


if __name__ == "__main__":
    keras.config.disable_interactive_logging()
    print(json.dumps(all_compared()))
