"""What a machine without TensorFlow does with keras_kd; `test_without_tensorflow.py` runs it.

Arguments: a folder with a cache of `net(8)`'s answers and the layer `hidden`, and with the inputs
`x.npy`; and `--refuse`, where TensorFlow is installed and must not be found.
"""

import sys

ABSENT = ("tensorflow", "tensorflow_datasets", "filelock", "ai_edge_litert", "matplotlib")


if __name__ == "__main__" and "--refuse" in sys.argv:
    # Python finds no module of that name then, as on a machine that lacks it.
    sys.modules.update(dict.fromkeys(ABSENT))

from pathlib import Path

import keras
import numpy as np

import keras_kd
from keras_kd import callbacks, losses

HINT = {"layers": {"hidden": "hidden"}, "weight": 1.0}


def net(width, seed=0):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(width, "tanh", name="hidden")(inputs)
    return keras.Model(inputs, keras.layers.Dense(3, name="scores")(hidden))


def compiled(model):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    return model


def refused(call, *words):
    """The call must fail, and say what is missing."""
    try:
        call()
    except (ImportError, ValueError) as error:
        assert all(word in str(error) for word in words), error
    else:
        raise AssertionError(f"{words}: nothing was refused")


def by_name():
    from keras_kd.data import image_classification

    image_classification("mnist")


def main(folder):
    x, y = np.load(folder / "x.npy"), np.arange(12) % 3
    feature_losses = [losses.FitNetLoss(**HINT), losses.RKDLoss(layers={"hidden": "hidden"})]
    live = compiled(keras_kd.Distiller(net(3), net(8), feature_losses=feature_losses))
    history = live.fit(
        x,
        y,
        epochs=2,
        batch_size=6,
        verbose=0,
        validation_data=(x, y),
        callbacks=[
            callbacks.AlphaScheduler(lambda epoch: 0.1 + 0.1 * epoch),
            callbacks.TemperatureScheduler(
                keras.optimizers.schedules.CosineDecay(8.0, 4, alpha=0.5)
            ),
            callbacks.LossWeightScheduler("rkd_loss", lambda epoch, weight: 0.5 * weight),
            callbacks.FeatureMatching(losses.HiddenStateLoss(**HINT), stop_epoch=1),
            callbacks.StudentCheckpoint(folder / "student.keras"),
            callbacks.StopAtTarget("val_accuracy", 2.0),
        ],
    ).history
    assert np.isfinite(history["loss"]).all() and len(history["loss"]) == 2

    live.save(folder / "distiller.keras")
    loaded = keras.saving.load_model(folder / "distiller.keras")
    assert loaded.evaluate(x, y, verbose=0) == live.evaluate(x, y, verbose=0)
    keras.saving.load_model(folder / "student.keras")
    teacher = keras_kd.teachers.Ensemble([net(8), net(6, seed=1)])
    rows = keras_kd.compare({"student": live.student, "teacher": teacher}, (x, y)).rows
    assert [row["model"] for row in rows] == ["student", "teacher"]

    # Answers that were labelled elsewhere teach what the teacher does.
    cache = keras_kd.TeacherCache(folder / "cache", None, dtype="float32", layers=["hidden"])
    assert cache.complete and cache.bytes_per_example == 4 * (3 + 8)
    runs = []
    for teacher, given in ((net(8), x), (None, {"inputs": x, **cache.answers()})):
        keras.utils.set_random_seed(0)
        model = keras_kd.Distiller(net(3), teacher, feature_losses=[losses.FitNetLoss(**HINT)])
        compiled(model).fit(given, y, epochs=2, batch_size=6, shuffle=False, verbose=0)
        runs.append(model.student.get_weights())
    for one, other in zip(*runs, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)

    keras_kd.export_student(live.student, folder / "exported.keras", verify_data=(x, y))
    refused(lambda: keras_kd.TeacherCache(folder / "new", net(8)).label((x, y)), "tensorflow")
    refused(lambda: keras_kd.export_student(live.student, folder / "saved_model"), "tensorflow")
    refused(lambda: keras_kd.export_student(live.student, folder / "s.tflite"), "tensorflow")

    (folder / "served").mkdir()
    (folder / "served" / "saved_model.pb").touch()
    refused(lambda: keras_kd.compare({"m": folder / "served"}, (x, y)), "SavedModel", "TensorFlow")

    refused(by_name, "tensorflow_datasets", "pip install tensorflow-datasets")
    if "--refuse" in sys.argv:
        assert not [name for name in ABSENT if sys.modules.get(name)]
    print("all of it works")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
