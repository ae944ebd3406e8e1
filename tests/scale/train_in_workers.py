"""Trains in one of two processes of TensorFlow, or alone; `test_workers.py` starts all three.

Arguments: a folder, and which process this is, -1 for the one that trains alone. Leaves weights
and histories in the folder.
"""

import contextlib
import json
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf
from trainings import BATCH, VECTORS, distiller, examples, fitted, net, numbers, relational

from keras_kd import TeacherCache, losses


def hint():
    return losses.FitNetLoss(**VECTORS, weight=2.0)


def batches():
    return tf.data.Dataset.from_tensor_slices(examples()).batch(BATCH, drop_remainder=True)


def trained():
    model = distiller(net(8, 1), [hint(), *relational(gather=True)])
    history = fitted(model, batches(), validation_data=batches())
    return model, history


def resumed(file):
    """In two halves, with a file between them; the second goes by steps."""
    model = distiller(net(8, 1), [hint()])
    first = fitted(model, batches(), epochs=1, validation_data=batches())
    model.save(file)
    model = keras.saving.load_model(file)
    told = {"validation_data": batches(), "steps_per_epoch": len(batches())}
    second = fitted(model, batches(), first=1, **told)
    return model, {name: first[name] + second[name] for name in first}


def backed_up(folder):
    """A training that ends after its first epoch, and one that finds it in the folder."""
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(ended, "stop_training", epoch == 0)
    )
    first = keras.callbacks.BackupAndRestore(folder, delete_checkpoint=False)
    ended = distiller(net(8, 1), [hint()])
    history = fitted(ended, batches(), callbacks=[first, stop])
    model = distiller(net(8, 1), [hint()])
    second = fitted(model, batches(), callbacks=[keras.callbacks.BackupAndRestore(folder)])
    assert len(second["loss"]) == 1, second
    return model, {name: history[name] + second[name] for name in history}


def cached(data):
    model = distiller(None, [hint()])
    return model, fitted(model, data)


def own_share(data, process):
    """Every second example, which no process shards once more."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return data.shard(2, process).batch(BATCH, drop_remainder=True).with_options(options)


def refusals(model, process):
    """What is said of data that the processes cannot share, and of a cache in the strategy."""
    x, y = examples()
    data = tf.data.Dataset.from_tensor_slices((x, y))
    cases = {
        "arrays": lambda: model.fit(x, y, verbose=0),
        "remainder": lambda: model.fit(data.batch(BATCH), verbose=0),
        "odd": lambda: model.fit(data.batch(5, drop_remainder=True), verbose=0),
        "unlike": lambda: model.fit(batches(), steps_per_epoch=process + 1, verbose=0),
        "weights": lambda: model.evaluate(batches(), sample_weight=y, verbose=0),
        "held_out": lambda: model.fit(batches(), validation_data=(x, y), verbose=0),
        "one": lambda: model.train_on_batch(x, y),
        "none": lambda: model.fit(batches().take(0), verbose=0),
    }
    told = {}
    for name, case in cases.items():
        try:
            case()
        except (TypeError, ValueError) as error:
            told[name] = f"{type(error).__name__}: {error}"
    return told


def labelled_in_scope(cache, data):
    try:
        cache.label(data)
    except ValueError as error:
        return str(error)
    return "no error"


if __name__ == "__main__":
    keras.config.disable_interactive_logging()
    folder, process = Path(sys.argv[1]), int(sys.argv[2])
    scope, told, weights = contextlib.nullcontext(), {}, {}
    if process >= 0:
        scope = tf.distribute.MultiWorkerMirroredStrategy().scope()
    x, y = examples()
    # The teacher that labels is no model of the strategy.
    cache = TeacherCache(folder / "cache", net(8, 1), dtype="float32", layers=["hidden"])
    answers = cache.label((x["inputs"], y))
    whole = answers.batch(BATCH, drop_remainder=True)
    with scope:
        told["in_scope"] = labelled_in_scope(cache, (x["inputs"], y))
        ways = {
            "trained": trained(),
            "resumed": resumed(folder / f"half_{process}.keras"),
            "backed_up": backed_up(folder / f"backup_{process}"),
            "cached": cached(whole),
            "own_share": cached(whole if process < 0 else own_share(answers, process)),
        }
        model = ways["trained"][0]
        told["evaluated"] = model.evaluate(batches(), verbose=0)
        model.run_eagerly, model.test_function = True, None
        told["eagerly"] = model.evaluate(batches(), verbose=0)
        told["predicted"] = model.predict(batches(), verbose=0).tolist()
        if process >= 0:
            told["refused"] = refusals(model, process)
    for name, (model, history) in ways.items():
        told[name] = history
        weights |= {f"{name}/{i}": value for i, value in enumerate(numbers(model))}
    np.savez(folder / f"{process}.npz", **weights)
    (folder / f"{process}.json").write_text(json.dumps(told))
