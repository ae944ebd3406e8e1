"""A trainable head on a teacher's frozen body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_kd.features.dtype_clone import dtype_clone
from keras_kd.features.graph_cutting import fresh_inputs, up_to
from keras_kd.features.preprocessing import check_has_none
from keras_kd.features.tap import Tap
from keras_kd.teachers.frozen_body import FrozenBody
from keras_kd.teachers.members import check_member


def student_on(
    teacher: keras.Model,
    layer: str | Tap,
    head: keras.layers.Layer | Callable[[Any], Any],
    *,
    name: str | None = None,
) -> keras.Model:
    """Returns a head that trains on what a teacher computes up to a layer, which stays as it is.

    ```
    x -> teacher up to `layer`, frozen, in inference mode -> head -> answer
    ```

    Compile it and fit it like any model: the gradient ends at the body, so that a step costs little
    more than the teacher's forward pass up to there. It is a teacher like any other: with
    `keras_kd.Distiller(student, keras_kd.teachers.student_on(...))` what the head has learnt
    reaches a student that stands alone.

    The body is a copy. The teacher, its `trainable` and its weights stay as they are, what is
    trained or loaded into it later changes nothing here, and the memory of the body's weights is
    needed twice while both are held; what lies above `layer` is not copied. The body answers as
    the teacher does in `predict`: dropout does nothing, and BatchNormalization keeps the statistics
    that it has.

    Args:
        teacher: A built Functional or Sequential `keras.Model`.
        layer: Name or path of the layer whose output the head reads, also inside nested Functional
            and Sequential models, or a `features.Tap` of an output or an input. Its mask goes on to
            the head.
        head: A layer or model, which trains in place, or a function from a symbolic tensor (or
            `keras.Input`) to the answer, or to a dict of several.
        name: The model's name. Defaults to the teacher's with `_head` behind it.

    Returns:
        A `keras.Model` of the teacher's inputs; the body is its layer `"body"`.

    Raises:
        TypeError, ValueError: If the teacher cannot be cut there or copied, there is no such layer,
            the head gives no tensor, has no weights to train, or shares some with the teacher.

    Example:

    >>> import keras, keras_kd
    >>> teacher = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, name="hidden"),
    ...                             keras.layers.Dense(3)])
    >>> model = keras_kd.teachers.student_on(teacher, "hidden", keras.layers.Dense(2))
    >>> model.output_shape, len(model.trainable_weights), len(teacher.trainable_weights)
    ((None, 2), 2, 4)
    """
    check_member("teacher", teacher)
    check_has_none(teacher, "student_on")
    if not isinstance(head, keras.layers.Layer) and not callable(head):
        raise TypeError(
            "`head` must be a layer, a keras.Model, or a function from a symbolic tensor to "
            f"another. Received: head={head!r}"
        )
    if not isinstance(layer, str | Tap):
        raise TypeError(
            "`layer` must be a layer's name or path, or a keras_kd.features.Tap. Received: "
            f"layer={layer!r}"
        )
    tap = Tap.of(layer)
    cut = up_to(teacher, tap, "teacher")
    body = FrozenBody(_copied(cut, teacher), name="body")
    inputs = fresh_inputs(cut)
    outputs = head(body(inputs))
    _check_answer(outputs)
    model = keras.Model(inputs, outputs, name=name or f"{teacher.name}_head")
    _check_trains(model, teacher)
    return model


def _copied(cut, teacher):
    try:
        return dtype_clone(cut)
    except Exception as error:
        raise ValueError(
            "The body is a copy of the teacher's layers, and these cannot be rebuilt from their "
            "config: give each custom layer a `get_config`. Received: teacher "
            f"'{teacher.name}' of class {type(teacher).__name__}; the reason: {error}"
        ) from error


def _check_answer(outputs):
    leaves = keras.tree.flatten(outputs)
    if not leaves or not all(isinstance(leaf, keras.KerasTensor) for leaf in leaves):
        raise TypeError(
            "`head` must return a tensor that it makes of the one that it is given, or a dict of "
            f"such. Received: head(...)={outputs!r}"
        )


def _check_trains(model, teacher):
    theirs = {id(variable) for variable in teacher.variables}
    shared = [variable.path for variable in model.variables if id(variable) in theirs]
    if shared:
        raise ValueError(
            "The head would train the teacher, whose weights it holds: give it a copy, such as "
            "keras.models.clone_model, or another layer. Received: shared weights "
            f"{shared[:3]}{' ...' * (len(shared) > 3)}"
        )
    if not model.trainable_weights:
        raise ValueError(
            "The head has no weights that train, and the body has none that may: give it a layer "
            "that has, such as keras.layers.Dense. Received: a head without trainable weights"
        )
