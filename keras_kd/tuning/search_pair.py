"""Two searches of the same length: distilled, and alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_kd.tuning.pair_result import PairResult
from keras_kd.tuning.search import search


def search_pair(
    make_distiller: Callable[[Any], keras.Model],
    space: Mapping[str, Any] | None,
    x: Any,
    y: Any = None,
    *,
    make_student: Callable[[Any], keras.Model],
    student_space: Mapping[str, Any] | None,
    name: str = "search",
    **search_arguments: Any,
) -> PairResult:
    """Searches for the settings of a Distiller, and with as many trials for those of the student.

    A tuned Distiller against a student as it happened to be tells how good tuning is, and not how
    good distillation is. `report` of the result then trains the best of both anew, over several
    seeds, and compares them on data that chose nothing.

    Args:
        make_distiller, space: As in `search`.
        x, y: As in `search`; both are trained on them.
        make_student: A function that returns the student alone, compiled. On data that a
            `TeacherCache` has labelled `keras_kd.Distiller(student, kd_loss=None, alpha=1.0)` is
            one.
        student_space: What to search for there, such as its learning rate.
        name: The studies are called `name` with `"_distilled"` and `"_alone"` behind it.
        **search_arguments: What else `search` takes: `trials`, each has as many, `validation_data`,
            `epochs`, `storage`, `seed`. A trial of a Distiller takes longer, where the teacher
            answers in it.

    Returns:
        A `PairResult`.

    Raises:
        ImportError, TypeError, ValueError: For what `search` raises.

    Example:

    >>> import keras, keras_kd, numpy as np, optuna
    >>> from keras_kd.models import mlp
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> x, y = np.random.rand(12, 4), np.arange(12) % 3
    >>> teacher = mlp((4,), 3, hidden=(16,))
    >>> def compiled(model, rate):
    ...     loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    ...     model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    ...     return model
    >>> pair = keras_kd.tuning.search_pair(
    ...     lambda s: compiled(keras_kd.Distiller(mlp((4,), 3, (2,)), teacher, **s), 1e-3),
    ...     {"alpha": (0.0, 1.0)}, x, y,
    ...     make_student=lambda s: compiled(mlp((4,), 3, (2,)), s["rate"]),
    ...     student_space={"rate": (1e-4, 1e-2, "log")},
    ...     trials=1, validation_data=(x, y), verbose=0)
    >>> len(pair.distilled.rows), len(pair.alone.rows)
    (1, 1)
    """
    distilled = search(make_distiller, space, x, y, name=f"{name}_distilled", **search_arguments)
    alone = search(make_student, student_space, x, y, name=f"{name}_alone", **search_arguments)
    return PairResult(distilled, alone)
