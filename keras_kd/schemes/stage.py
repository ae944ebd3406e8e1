"""One stage of a student's training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import keras

from keras_kd.checks import check_whole_number
from keras_kd.schemes.fit_arguments import distiller_arguments

Layers: TypeAlias = str | Sequence[str] | Callable[[keras.Layer], bool]


class Stage:
    """Some epochs of `stages`, and what is different in them.

    Args:
        name: Its name in results and files.
        epochs: How many, at least 1.
        trainable: The layers that train, with all they hold: names, paths, or a function that is
            called with each layer that holds no others. The rest is frozen, weights of their own of
            the layers around them too; single weights that were frozen stay so. None, the default,
            trains what trained when `stages` was called.
        learning_rate: The optimizer's in this stage, a number or a schedule. None leaves it.
        compile: Keyword arguments of `compile` that replace the common ones, such as
            `{"loss": loss}`.
        x, y: Data of this stage alone. None takes those of `stages`; with an `x` of its own a stage
            takes no `y` of others.
        **distiller: Settings of the `Distiller` in this stage that replace the common ones:
            `alpha`, `temperature`, `kd_loss`, `feature_losses`.

    Raises:
        TypeError, ValueError: If a name is empty, there is no epoch, or a setting is not known.

    Example:

    >>> import keras_kd
    >>> hint = keras_kd.losses.FitNetLoss(layers={"hidden": "hidden"})
    >>> stage = keras_kd.schemes.Stage("hint", 5, trainable="hidden", alpha=0.0, kd_loss=None,
    ...                                feature_losses=[hint])
    >>> stage.name, stage.epochs
    ('hint', 5)
    """

    def __init__(
        self,
        name: str,
        epochs: int,
        *,
        trainable: Layers | None = None,
        learning_rate: Any = None,
        compile: Mapping[str, Any] | None = None,
        x: Any = None,
        y: Any = None,
        **distiller: Any,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise TypeError(f"A stage needs a name, a string. Received: name={name!r}")
        if y is not None and x is None:
            raise ValueError(
                "Labels of a stage's own belong to an `x` of its own: give both. "
                f"Received: stage {name!r} with x=None and a `y`"
            )
        if compile is not None and not isinstance(compile, Mapping):
            raise TypeError(
                "`compile` of a stage must be a dict of what replaces the common arguments, such "
                f'as {{"loss": loss}}. Received: compile={compile!r}'
            )
        self.name = name
        self.epochs = check_whole_number("epochs", epochs, least=1)
        self.trainable, self.learning_rate = trainable, learning_rate
        self.compile, self.x, self.y = compile, x, y
        self.distiller = distiller_arguments(distiller, f"Stage({name!r})")
