"""Calls with something wrong in them: each must raise an error in words."""

import inspect

import keras
import numpy as np

import keras_kd
from keras_kd import callbacks, evaluation, features, losses, teachers

NAN = float("nan")
NEEDED = {"CRDLoss": {"size": 10, "negatives": 2}, "CTKDLoss": {"reversal_steps": 10}}
NUMBERS = ("x", None, NAN, float("inf"), [1.0], True)
OF_A_LOSS = [
    *({"weight": value} for value in ("x", NAN, -1.0, [1.0], True)),
    *({"layers": value} for value in (3, {}, "h", {"h": 3}, {3: "h"}, [("h", "h")])),
    {"ignore_class": "x"},
    {"teacher_output": 1.5},
    {"mean_over": "x"},
]
X = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
Y = np.arange(24) % 3


def net(features=4, width=5, classes=3):
    layers = [
        keras.Input((features,)),
        keras.layers.Dense(width, name="h"),
        keras.layers.Dense(classes, name="scores"),
    ]
    return keras.Sequential(layers)


def wrong_calls(folder):
    """Yields `(what, function)`.

    Args:
        folder: An empty folder.
    """
    for name in losses.__all__:
        loss = getattr(losses, name)
        if not (inspect.isclass(loss) and issubclass(loss, losses.DistillationLoss)):
            continue
        for wrong in OF_A_LOSS:
            given = {**NEEDED.get(name, {}), **wrong}
            yield f"losses.{name}({wrong})", lambda loss=loss, given=given: loss(**given)
    for value in NUMBERS:
        if value is not None:
            yield (
                f"Distiller(alpha={value})",
                lambda v=value: keras_kd.Distiller(net(), net(), alpha=v),
            )
            yield (
                f"Distiller(temperature={value})",
                lambda v=value: keras_kd.Distiller(net(), net(), temperature=v),
            )
        for scheduler in (callbacks.AlphaScheduler, callbacks.TemperatureScheduler):
            yield (
                f"{scheduler.__name__} to {value}",
                lambda s=scheduler, v=value: _fit(
                    keras_kd.Distiller(net(), net()), callbacks=[s(lambda epoch: v)]
                ),
            )
    for value in (0, 1, "no", "yes", "False", [], 0.0):
        yield (
            f"validate_with_teacher={value!r}",
            lambda v=value: keras_kd.Distiller(net(), net(), validate_with_teacher=v),
        )
        yield (
            f"KDLoss(student_from_logits={value!r})",
            lambda v=value: losses.KDLoss(student_from_logits=v),
        )
        yield (
            f"Ensemble(from_logits={value!r})",
            lambda v=value: teachers.Ensemble([net(), net()], from_logits=v),
        )
        yield (
            f"TeacherCache(from_logits={value!r})",
            lambda v=value: keras_kd.TeacherCache(folder / "new", net(), from_logits=v),
        )
    for value in (0.5, -0.5, 101, "a", None, [8]):
        for name in ("Distiller of a student", "Distiller of a teacher"):
            models = (value, net()) if name.endswith("student") else (net(), value or "teacher")
            yield f"{name} that is {value!r}", lambda m=models: keras_kd.Distiller(*m)
        yield f"export_student({value!r})", lambda v=value: keras_kd.export_student(v, folder / "e")
        if value != 101:
            yield (
                f"label(batch_size={value!r})",
                lambda v=value: _cache(folder).label(X, batch_size=v),
            )
        yield f"label(views={value!r})", lambda v=value: _cache(folder).label(X, views=v)
        yield f"label(augment={value!r})", lambda v=value or "a": _cache(folder).label(X, augment=v)
        yield f"label(check={value!r})", lambda v=value: _cache(folder).label(X, check=v)
        yield f"label({value!r})", lambda v=value: _cache(folder).label(v)
        yield f"TeacherCache(dtype={value!r})", lambda v=value: _cache(folder, dtype=v)
        yield f"TeacherCache(layers={value!r})", lambda v=value: _cache(folder, layers=v)
        if value not in (101, None):
            yield f"TeacherCache(top_k={value!r})", lambda v=value: _cache(folder, top_k=v)
        yield f"Tap({value!r})", lambda v=value: features.Tap(v if v != "a" else "")
        yield f"Tap('h', side={value!r})", lambda v=value: features.Tap("h", side=v)
    yield from _of_data(folder)


def _of_data(folder):
    wrong_shapes = (np.ones((24, 5), "float32"), np.ones((24, 4, 2), "float32"), np.ones(24))
    for x in wrong_shapes:
        yield f"fit on x {x.shape}", lambda x=x: _fit(keras_kd.Distiller(net(), net()), x)
        yield f"label x {x.shape}", lambda x=x: _cache(folder).label(x)
    for width, classes in ((4, 2), (4, 7)):
        yield (
            f"teacher of {classes} classes",
            lambda w=width, c=classes: keras_kd.Distiller(net(w), net(w, classes=c)),
        )
    for labels in (Y + 1, Y - 1, Y + 100):
        for loss in (losses.DKDLoss, losses.NKDLoss):
            yield (
                f"{loss.__name__} of labels {labels.max()}",
                lambda a=labels, b=loss: _fit(
                    keras_kd.Distiller(net(), net(), kd_loss=b(), alpha=0.0), y=a
                ),
            )
    for index in (np.arange(24) + 1, np.arange(24) - 1):
        crd = losses.CRDLoss(24, negatives=4, dim=2, layers={"h": "h"})
        yield (
            f"CRDLoss of index {index.max()}",
            lambda i=index, c=crd: _fit(
                keras_kd.Distiller(net(), net(), feature_losses=[c]), {"inputs": X, "index": i}
            ),
        )
    broken = X.copy()
    broken[3] = NAN
    for x in (broken, X * np.inf):
        data = {"inputs": X, "teacher_inputs": x}
        yield (
            f"a teacher that answers {x[3, 0]}",
            lambda d=data: _fit(keras_kd.Distiller(net(), net()), d),
        )
        yield f"a cache of {x[3, 0]}", lambda x=x: _cache(folder).label(x)
    for names in ({"no": "h"}, {"h": "no"}):
        yield (
            f"layers {names}",
            lambda n=names: keras_kd.Distiller(
                net(), net(), feature_losses=[losses.HiddenStateLoss(layers=n)]
            ),
        )
    empty = np.zeros((0, 4), "float32")
    yield "no examples", lambda: _fit(keras_kd.Distiller(net(), net()), empty, np.zeros(0))
    yield "no examples to label", lambda: _cache(folder).label(empty)
    for models in (None, [], {}, {"a": 3}, 3):
        yield f"compare({models!r})", lambda m=models: keras_kd.compare(m, (X, Y))
        yield f"Ensemble({models!r})", lambda m=models: teachers.Ensemble(m)
    yield (
        "compare with a reference",
        lambda: evaluation.compare({"a": net()}, (X, Y), reference="b"),
    )


def _cache(folder, **kwargs):
    return keras_kd.TeacherCache(folder / "new", net(), **kwargs)


def _fit(model, x=X, y=Y, **kwargs):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, run_eagerly=keras.backend.backend() == "tensorflow")
    model.fit(x, y, verbose=0, **kwargs)
